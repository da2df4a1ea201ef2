//! The scenario language: one text for a lesson, a test, a share link, a line typed into the page's
//! console and a file given to the command line, read by one parser and run by one engine.
//!
//! ```text
//! # A killed leader is replaced, and nothing is lost.
//! cluster brokers=3 controllers=3 seed=7
//! topic orders partitions=1 replication-factor=3 min.insync.replicas=2
//! producer app
//! send app orders alice=created
//! until acked app = 1 within 5s
//! > The leader is about to die.
//! kill broker leader:orders-0
//! until leader orders-0 != none and leader-epoch orders-0 = 1 within 15s
//! expect lost = 0
//! ```
//!
//! # Shape
//!
//! UTF-8 text, one statement a line: a verb, its arguments, then options `name=value` in any order.
//! `#` begins a comment and `>` at the beginning of a line begins prose: the caption from here on.
//! Files end in `.hw`.
//!
//! A value with spaces is quoted, with `\"`, `\\`, `\n`, `\t` and `\u{1F600}` inside the quotes.
//! What is quoted separates nothing: `"a=b"=c` is the key `a=b`.
//!
//! | what | how it is written |
//! | --- | --- |
//! | duration | `250us`, `40ms`, `2s`, `5min`, `1h`; also `12.345s` |
//! | size | `512`, `16KiB`, `1MiB` |
//! | rate | `100/s`, `30/min`, `1/h` |
//! | partition | as Kafka writes it: `orders-0` |
//! | broker | `1`; or by its role at that moment: `leader:orders-0`, `follower:orders-0` (the first other replica), `coordinator:billing` (of a group, or of a producer's transactions) |
//! | controller | `c1`; or `active` |
//! | brokers | `2,3`; an empty set is `none` |
//!
//! Settings have Kafka's own names, ranges and reasons of refusal; see [`crate::kafka::config`].
//! A script is read and checked as a whole before any of it runs: [`Script::read`] gives a script
//! that may run, or all its errors, each with its place and the nearest valid word.
//!
//! # Time
//!
//! Time is virtual. Statements run in order at the current time; `wait`, `at` and `until` move it on.
//! Zero is when the cluster has settled, or with `start=cold` when everything was switched on.
//!
//! # Statements
//!
//! Set-up. Without a `cluster` there are three brokers, three controllers and seed 1.
//! ```text
//! cluster [brokers=3] [controllers=3] [seed=1] [racks=a,b,c] [start=cold] [broker settings]
//! topic NAME [partitions=N] [replication-factor=N] [topic settings]
//! topic NAME replica-assignment=1:2:3,2:3:1 [topic settings]
//! producer NAME [transactional.id=ID] [producer settings]
//! consumer NAME group=GROUP topics=A,B [consumer settings]
//! share-consumer NAME group=GROUP topics=A,B [share.acknowledgement.mode=explicit] [consumer settings]
//! stream NAME subscribe=A,B [startingOffsets=earliest|latest|JSON] [maxOffsetsPerTrigger=N] [trigger=1s] [options]
//! ```
//! The consumers of a share group (KIP-932) read every partition together, each record by one of them. The group
//! begins at the end of a partition, unless `alter group GROUP share.auto.offset.reset=earliest` came before.
//!
//! A stream reads in micro-batches, as a structured-streaming query over Spark's Kafka source: in no group, with
//! a checkpoint of its own that outlives its process. Its options have Spark's names, see
//! [`crate::kafka::config::stream`]; `kafka.isolation.level=…` and the like are its consumers' settings. Without a
//! `trigger` the next batch begins when the last one is done.
//!
//! Traffic. `KEY=` is a tombstone, `KEY=""` an empty value, `=VALUE` has no key.
//! ```text
//! send PRODUCER TOPIC KEY=VALUE [partition=N] [timestamp=MS] [header.NAME=VALUE]
//! load PRODUCER TOPIC [rate=100/s] [keys=50] [size=100] [for=10s]
//! begin PRODUCER | commit PRODUCER | abort PRODUCER  a transaction; the producer has a `transactional.id`
//! offsets PRODUCER CONSUMER                          the consumer's positions become part of it
//! acknowledge SHARE-CONSUMER accept|release|reject [PARTITION OFFSET]   of one record, or of all that it holds
//! seek CONSUMER PARTITION OFFSET|earliest|latest|2s
//! commit CONSUMER | pause CONSUMER | resume CONSUMER | close CLIENT   a stream that is closed is stopped
//! handle CONSUMER 200ms                              its application takes that long for each record; `0ms`: none
//! reset-offsets GROUP TOPIC to=earliest|latest|OFFSET|2s
//! reset-offsets GROUP TOPIC shift=-5                 of a share group only to=earliest|latest|2s
//! ```
//! Faults. What is already in the state that is asked for stays in it.
//! ```text
//! kill broker|controller|consumer|share-consumer|producer|stream NAME   start …, freeze …, thaw …
//! power-off broker|controller NAME                   what was not flushed is gone
//! stop broker|controller NAME                        a controlled shutdown
//! wipe broker 1                                      its disk is lost; only while it is down
//! cut 1,c1 | 2,3,c2,c3                               sides that cannot talk; clients too
//! heal
//! link 1->2 [latency=300ms] [jitter=50ms] [loss=20%] one direction; `1<->2` both
//! drop next FETCH 2->1                               `FETCH response 1->2`: the next response
//! delay next FETCH 2->1 by=300ms                     and what comes after it on that connection
//! duplicate next PRODUCE app->1                      it arrives twice
//! disk 1 latency=50ms                                every write to its log takes that long; `0ms`: none
//! ```
//! In `cut`, `link`, `drop`, `delay` and `duplicate`, `c1` is the controller where there is one; a
//! client of that name is written `client:c1`. A slow disk does one write after the other, and what
//! its broker says because of a write leaves when the write is done; reading costs nothing.
//!
//! Administration.
//! ```text
//! create-partitions TOPIC TOTAL
//! alter topic TOPIC min.insync.replicas=1            `retention.ms=` goes back to the default
//! delete topic TOPIC
//! delete group GROUP                                only while nobody belongs to it
//! delete-records PARTITION before=OFFSET             -1: up to the high watermark
//! elect preferred|unclean PARTITION
//! reassign PARTITION replicas=2,3,4                  `reassign PARTITION cancel`
//! alter broker 1 log.retention.ms=60000              one broker; `alter brokers …` all of them
//! alter group GROUP share.auto.offset.reset=earliest   settings of one group
//! add broker 4 [rack=b]
//! unregister broker 4                                the controller forgets it, dead or alive
//! add controller c4                                  starts, catches up and becomes a voter (KIP-853)
//! remove controller c3                               votes no more; its process goes on observing
//! ```
//! Time and checks.
//! ```text
//! wait 2s
//! at 12.345s                                         never backwards
//! until CONDITION within 30s                         fails when it never holds
//! expect CONDITION                                   must hold now
//! always CONDITION                                   must hold after every event from here on
//! step "A title"
//! ask "A question?" answer=leader:orders-0 choices=1,2,3
//! goal CONDITION                                     what the reader is to bring about
//! ```
//!
//! # Conditions
//!
//! A question, a comparison (`=`, `!=`, `<`, `<=`, `>`, `>=`) and a value, combined by `not`, `and`,
//! `or` (in the order in which they bind) and parentheses. The questions are the variants of
//! [`condition::Question`]:
//! ```text
//! leader P = 2|none        leader-epoch P >= 1      isr P = 2,3       isr-size P >= 2    elr P = none
//! replicas P = 1,2,3       partition-epoch P > 0    hw P = 5          hw P@2 = 4         leo P@2 = 5
//! log-start P = 0          lso P = 3                records P = created,null   flushed P = 3
//! segments P = 0,5         cleaned P = 3|none       producers P = 1   log-bytes P > 300
//! offset-of P earliest|latest|max-timestamp|earliest-local|2s = 4|none       what LIST_OFFSETS answers
//! broker 1 = alive|fenced|dead|frozen|shutting-down
//! controller = c2|active|none     controller-epoch >= 2     quorum-leader = c2    voters = c1,c2,c3
//! metadata-start N = 0     metadata-end N > 10      snapshot N > 0|none       feature metadata.version = 29
//! state G = Stable         generation G = 3         members G = 2     lag G = 0          lag G P = 0
//! start-offset G P = 3    acquired G P >= 1         of a share group: done with before; held by somebody;
//!                                                   its lag is what is not done with (KIP-1226)
//! committed G P = 3|none   assigned C = P,P|none    position C P = 4  delivered C P = 4  values C P = a,b
//! acked R = 5              failed R = 0             failed R NOT_ENOUGH_REPLICAS >= 1     pending R = 0
//! checkpoint S P = 5|none  batch S >= 2|none        planned S = 3|none               stream S = active|failed|dead|frozen
//! partition-of TOPIC KEY = 2                        transaction R = READY|IN_TRANSACTION|FATAL_ERROR…
//! lost = 0     duplicated G = 0     reordered = 0     skipped G = 0     phantom = 0
//! under-replicated = 0     under-min-isr = 0     offline = 0     diverged = 0
//! ```
//! Here `P` is a partition, `G` a group, `C` a consumer or a stream, `S` a stream (where its next batch begins,
//! the last one that is done, the one that is planned), `R` a producer, and `N` a broker or controller:
//! whose metadata log, and whose newest snapshot of it. Without `@`, `hw`, `leo`,
//! `log-start`, `lso`, `records`, `flushed` (up to where the log survives a loss of power), `segments`
//! (their base offsets), `log-bytes`, `cleaned` (up to where it is compacted) and `producers` (how many it remembers)
//! are those of the leader. `replicas`, `segments`, `values` and `records` are compared in order, other
//! lists as sets; of records, `null` is a tombstone. A partition that was deleted has no leader. About what else
//! there is not (its ISR, the log of a dead broker) nothing holds, neither `=` nor `!=`. A topic may be named from
//! the line on that creates it, also after it was deleted. Where the `cluster` line sets `auto.create.topics.enable`,
//! `true` or `false`, clients may name topics that nobody has created: with `true`, Kafka's default, the brokers make
//! them, with `num.partitions` and `default.replication.factor`. Otherwise such a name counts as misspelt.
//!
//! # Lessons
//!
//! A script with named parts is a lesson. A part begins with its `step` and ends before the next one.
//! Its prose is what the reader is told as time passes; words between backticks are Kafka's own. An
//! `ask` is answered before the script goes on; its answer, when it is a role, is the one at the end
//! of the part. At a `goal` the reader acts: it is reached as soon as its condition holds in what the
//! reader made of the cluster. What follows it in the part is one way there, which a test carries out
//! and a reader can ask to see. Tests read over prose, parts, questions and goals.
//!
//! # Not simulated yet
//!
//! The whole language is read; what the engine cannot do yet is refused by name: [`unsupported`].

pub mod check;
pub mod condition;
pub mod error;
pub mod lex;
pub mod link;
pub mod names;
pub mod parse;
pub mod print;
pub mod quantity;
pub mod script;
pub mod unsupported;
pub mod words;

pub use condition::{Condition, Observe, Verdict};
pub use error::{ScriptError, Span};
pub use names::{ClientKind, Names};
pub use script::{Ask, Line, Script, Statement};

#[cfg(test)]
mod tests;
