//! The forms, by what they are about.

use super::{Field, Form};
use crate::scenario::lex::quote;
use crate::view::cards::{ConsumerCard, ProducerCard};
use crate::view::links;
use crate::view::partitions::PartitionRow;
use crate::view::stage::{BrokerColumn, BrokerState, ControllerChip, ControllerState, Stage, TopicView};
use crate::wire::ApiKey;

fn word(name: &str) -> String {
    quote(name, &['='])
}

/// `1,2,3`
pub fn ids(brokers: &[i32]) -> String {
    brokers.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn same(words: &[&str]) -> Vec<(String, String)> {
    words.iter().map(|word| (word.to_string(), word.to_string())).collect()
}

/// kafka-leader-election
pub fn elect(row: &PartitionRow) -> Form {
    let types = ["preferred", "unclean"].map(|kind| (kind.to_string(), format!("{kind} {}", row.name)));
    Form {
        button: format!("Elect leader of {}", row.name),
        effect: "Preferred: the first of its replicas, if it is in sync. Unclean: only where nobody leads; one that is \
                 out of sync leads then, and what it lacks is lost.",
        before: "elect ".to_string(),
        template: "{election-type}",
        fields: vec![Field::choice("election-type", types.to_vec(), "who may become its leader")],
    }
}

/// kafka-reassign-partitions: begun, and cancelled.
pub fn reassign(row: &PartitionRow) -> [Form; 2] {
    [
        Form {
            button: format!("Reassign {}", row.name),
            effect: "New replicas are added, catch up, and only then the old ones go.",
            before: format!("reassign {}", row.name),
            template: "[ replicas={replicas}]",
            fields: vec![Field::text(
                "replicas",
                ids(&row.replicas),
                "1,2,3",
                "the brokers that shall hold it, the preferred leader first",
            )],
        },
        Form::button(
            format!("Cancel reassignment of {}", row.name),
            format!("reassign {} cancel", row.name),
            "While one is under way: it goes back to the replicas that it had.",
        ),
    ]
}

/// kafka-delete-records
pub fn delete_records(row: &PartitionRow) -> Form {
    Form {
        button: format!("Delete records of {}", row.name),
        effect: "Its log starts there from then on, on every replica. What is above the high watermark cannot be deleted.",
        before: format!("delete-records {}", row.name),
        template: "[ before={offset}]",
        fields: vec![Field::text("offset", "", row.high_watermark, "the first offset to keep; -1: the high watermark")],
    }
}

/// kafka-topics --alter --partitions
pub fn add_partitions(topic: &TopicView) -> Form {
    Form {
        button: "Add partitions".to_string(),
        effect: "Keys find other partitions from then on; partitions never become fewer.",
        before: format!("create-partitions {}", word(&topic.name)),
        template: " {partitions}",
        fields: vec![Field::text("partitions", topic.partitions + 1, "", "how many it shall have")],
    }
}

/// What can be done to a broker's process and machine. Wide heads on the stage have these buttons too.
pub fn broker_process(broker: &BrokerColumn) -> Vec<Form> {
    let running = |frozen: bool| {
        let pause = if frozen {
            ("Thaw", "Its process runs on as if nothing had been.")
        } else {
            ("Freeze", "A long pause: it lives, but nothing runs.")
        };
        let stop = (!frozen).then_some(("Stop", "A controlled shutdown: it hands over first."));
        let deaths = [
            ("Kill", "The process dies; what is in its log stays."),
            ("Power off", "The machine dies; what was not flushed is gone."),
        ];
        stop.into_iter().chain([pause]).chain(deaths).collect()
    };
    let verbs: Vec<_> = match broker.state {
        BrokerState::Dead => vec![
            ("Start", "The process starts with the log that it left."),
            ("Wipe", "The disk is lost: it starts with nothing."),
        ],
        state => running(state == BrokerState::Frozen),
    };
    let button = |(verb, effect)| process("broker", &broker.id.to_string(), verb, effect);
    verbs.into_iter().map(button).collect()
}

/// What can be done to a controller's process and machine, beside what its chip on the stage offers.
pub fn controller_process(chip: &ControllerChip) -> Vec<Form> {
    let verbs = match chip.state {
        ControllerState::Dead => &[("Start", "It begins with the metadata log that it left.")] as &[_],
        ControllerState::Frozen => &[
            ("Thaw", "It runs on as if nothing had been."),
            ("Kill", "The process dies; its metadata log stays."),
            ("Power off", "The machine dies."),
        ],
        _ => &[
            ("Stop", "A controlled shutdown: an active one hands over first."),
            ("Freeze", "A long pause: it lives, but nothing runs."),
            ("Kill", "The process dies; its metadata log stays."),
            ("Power off", "The machine dies."),
        ],
    };
    verbs.iter().map(|(verb, effect)| process("controller", &chip.name, verb, effect)).collect()
}

/// `Power off broker 1`
fn process(kind: &str, name: &str, verb: &str, effect: &'static str) -> Form {
    let line = format!("{} {kind} {name}", verb.to_lowercase().replace(' ', "-"));
    Form::button(format!("{verb} {kind} {name}"), line, effect)
}

/// A slow disk, and a quick one again.
pub fn disk(broker: i32) -> [Form; 2] {
    [
        Form {
            button: format!("Slow the disk of broker {broker}"),
            effect: "What a broker says of a write, it says only when the write is done.",
            before: format!("disk {broker}"),
            template: "[ latency={latency}]",
            fields: vec![Field::text("latency", "", "50ms", "how long every write to its log takes")],
        },
        Form::button(
            format!("Quick disk for broker {broker}"),
            format!("disk {broker} latency=0ms"),
            "Writes cost nothing again.",
        ),
    ]
}

/// How a script calls everybody on the stage.
fn nodes(stage: &Stage) -> Vec<(String, String)> {
    let brokers = stage.brokers.iter().map(|broker| (format!("broker {}", broker.id), broker.id.to_string()));
    let controllers = stage.controllers.iter().map(|chip| (chip.name.clone(), chip.name.clone()));
    let client = |(kind, name): (&str, &str)| {
        let written = links::client(name);
        (if written == name { name.to_string() } else { format!("{kind} {name}") }, written)
    };
    brokers.chain(controllers).chain(stage.clients().map(client)).collect()
}

fn ends(stage: &Stage) -> [Field; 2] {
    let from = nodes(stage);
    let mut to = Field::choice("to", from.clone(), "");
    if let Some((_, second)) = from.get(1) {
        to.start.clone_from(second);
    }
    [Field::choice("from", from, ""), to]
}

/// A slow or lossy link.
pub fn link(stage: &Stage) -> Form {
    let [from, to] = ends(stage);
    let both = vec![("both".to_string(), "<->".to_string()), ("one".to_string(), "->".to_string())];
    Form {
        button: "Bend link".to_string(),
        effect: "What travels there already goes on as it was.",
        before: "link ".to_string(),
        template: "{from}{directions}{to}[ latency={latency}][ jitter={jitter}][ loss={loss}]",
        fields: vec![
            from,
            to,
            Field::choice("directions", both, ""),
            Field::text("latency", "", "300ms", "how long a message takes"),
            Field::text("jitter", "", "50ms", "and how much longer at the most, by chance"),
            Field::text("loss", "", "20%", "how many messages never arrive"),
        ],
    }
}

/// The next message of a kind between two nodes; one that is on its way already is chosen on the stage.
pub fn message(stage: &Stage) -> Form {
    let [from, to] = ends(stage);
    let names: Vec<&str> = ApiKey::ALL.iter().map(|api| api.name()).collect();
    Form {
        button: "Prepare mishap".to_string(),
        effect: "A message that is on its way already is chosen on the stage.",
        before: String::new(),
        template: "{mishap} next {request} {part}{from}->{to}[ by={by}]",
        fields: vec![
            Field::choice(
                "mishap",
                vec![
                    ("is lost".to_string(), "drop".to_string()),
                    ("arrives twice".to_string(), "duplicate".to_string()),
                    ("is delayed".to_string(), "delay".to_string()),
                ],
                "what happens to it",
            ),
            Field::choice("request", same(&names), "Kafka’s name of it"),
            Field::choice(
                "part",
                vec![("request".to_string(), String::new()), ("response".to_string(), "response ".to_string())],
                "",
            ),
            from,
            to,
            Field::text("by", "", "300ms", "how long it is delayed, if it is"),
        ],
    }
}

/// A record with everything that a record may have.
pub fn send(producer: &str, stage: &Stage) -> Form {
    Form {
        button: "Send record".to_string(),
        effect: "",
        before: format!("send {}", word(producer)),
        template: " {topic} {key}={value}[ partition={partition}][ timestamp={timestamp}][ header.trace={header}]",
        fields: vec![
            topics(stage),
            Field::text("key", "", "alice", "nothing: null"),
            Field::text("value", "", "created", "nothing: null, which is a tombstone where the topic is compacted"),
            Field::text("partition", "", "0", "nothing: the partitioner decides"),
            Field::text("timestamp", "", "2s", "milliseconds, or a time such as 2s; nothing: now"),
            Field::text("header", "", "abc", "the value of a header named trace"),
        ],
    }
}

/// What can be done about a producer's transaction as it stands (KafkaProducer.beginTransaction, commitTransaction,
/// abortTransaction). Its card has these buttons.
pub fn transaction(card: &ProducerCard) -> Vec<Form> {
    let name = word(&card.name);
    let begin = ("Begin transaction", "begin", "What is sent from then on happens together or not at all.");
    let commit = ("Commit", "commit", "Readers of committed records see all of it.");
    let abort = ("Abort", "abort", "Readers of committed records see nothing of it.");
    let verbs = match card.transaction.as_ref().and_then(|transaction| transaction.state) {
        Some("READY") => vec![begin],
        Some("IN_TRANSACTION") => vec![commit, abort],
        Some("ABORTABLE_ERROR") => vec![abort],
        _ => Vec::new(),
    };
    verbs.into_iter().map(|(button, verb, effect)| Form::button(button, format!("{verb} {name}"), effect)).collect()
}

/// KafkaProducer.sendOffsetsToTransaction
pub fn offsets(producer: &str, stage: &Stage) -> Form {
    let consumers = stage.groups.iter().flat_map(|group| &group.consumers).filter(|card| card.kind == "consumer");
    let names: Vec<&str> = consumers.map(|card| card.name.as_str()).collect();
    let names = names.into_iter().map(|name| (name.to_string(), word(name))).collect();
    Form {
        button: "Send offsets".to_string(),
        effect: "The consumer’s positions are committed if, and only if, the transaction is.",
        before: format!("offsets {}", word(producer)),
        template: " {consumer}",
        fields: vec![Field::choice("consumer", names, "whose positions")],
    }
}

fn topics(stage: &Stage) -> Field {
    let names: Vec<&str> = stage.topics.iter().map(|topic| topic.name.as_str()).collect();
    Field::choice("topic", same(&names), "")
}

/// Steady traffic.
pub fn load(producer: &str, stage: &Stage) -> Form {
    Form {
        button: "Start load".to_string(),
        effect: "Steady traffic, beside everything else.",
        before: format!("load {}", word(producer)),
        template: " {topic}[ rate={rate}][ keys={keys}][ size={size}][ for={for}]",
        fields: vec![
            topics(stage),
            Field::text("rate", "20/s", "100/s", "how many records"),
            Field::text("keys", "", "50", "how many different keys"),
            Field::text("size", "", "100", "how many bytes a value has"),
            Field::text("for", "", "10s", "for how long"),
        ],
    }
}

/// KafkaConsumer.seek, seekToBeginning, seekToEnd, offsetsForTimes
pub fn seek(card: &ConsumerCard) -> Form {
    let partitions: Vec<&str> = card.partitions.iter().map(|reading| reading.partition.as_str()).collect();
    let partition = if card.more > 0 || partitions.is_empty() {
        Field::text("partition", partitions.first().copied().unwrap_or(""), "orders-0", "one that it is assigned")
    } else {
        Field::choice("partition", same(&partitions), "one that it is assigned")
    };
    Form {
        button: format!("Seek with {}", card.name),
        effect: "What lies behind is delivered again, what lies before is skipped.",
        before: format!("seek {}", word(&card.name)),
        template: " {partition} {offset}",
        fields: vec![
            partition,
            Field::text("offset", "", "earliest", "an offset, earliest, latest, or a time such as 2s"),
        ],
    }
}

/// How long its application takes for a record.
pub fn handle(card: &ConsumerCard) -> Form {
    Form {
        button: format!("Slow down {}", card.name),
        effect: "It polls when it has handled what it was given. Later than max.poll.interval.ms, it is out of its group.",
        before: format!("handle {}", word(&card.name)),
        template: " {each}",
        fields: vec![Field::text("each", "", "200ms", "how long its application takes for each record; 0ms: no time")],
    }
}

/// KafkaShareConsumer.acknowledge
pub fn acknowledge(card: &ConsumerCard) -> Form {
    let types = [("accept", "accept: done"), ("release", "release: somebody else"), ("reject", "reject: nobody")];
    let types = types.map(|(written, shown)| (shown.to_string(), written.to_string()));
    Form {
        button: format!("Acknowledge with {}", card.name),
        effect: "With share.acknowledgement.mode=explicit nothing more is handed out before all is acknowledged.",
        before: format!("acknowledge {} ", word(&card.name)),
        template: "{type}[ {partition} {offset}]",
        fields: vec![
            Field::choice("type", types.to_vec(), "what became of it"),
            Field::text("partition", "", "orders-0", "of one record; nothing: all that it holds"),
            Field::text("offset", "", "5", "of that record"),
        ],
    }
}

fn reset_before(group: &str, topic: &str) -> String {
    format!("reset-offsets {} {}", word(group), word(topic))
}

fn reset_to_ends(before: &str) -> [Form; 2] {
    [
        Form::button("Reset to earliest", format!("{before} to=earliest"), "Everything is delivered again."),
        Form::button("Reset to latest", format!("{before} to=latest"), "Only what comes from now on is delivered."),
    ]
}

/// kafka-share-groups --reset-offsets
pub fn reset_share_offsets(group: &str, topic: &str) -> [Form; 3] {
    let before = reset_before(group, topic);
    let [earliest, latest] = reset_to_ends(&before);
    let time = Form {
        button: "Reset to time".to_string(),
        effect: "",
        before,
        template: "[ to={time}]",
        fields: vec![Field::text("time", "", "2s", "the first record from then on, of each partition")],
    };
    [earliest, latest, time]
}

/// kafka-consumer-groups --reset-offsets
pub fn reset_offsets(group: &str, topic: &str) -> [Form; 4] {
    let before = reset_before(group, topic);
    let [earliest, latest] = reset_to_ends(&before);
    [
        earliest,
        latest,
        Form {
            button: "Reset to offset".to_string(),
            effect: "",
            before: before.clone(),
            template: "[ to={offset}]",
            fields: vec![Field::text("offset", "", "5", "of each partition; or a time such as 2s")],
        },
        Form {
            button: "Shift offsets".to_string(),
            effect: "",
            before,
            template: "[ shift={shift-by}]",
            fields: vec![Field::text("shift-by", "-5", "-5", "how many records of each partition; back with a minus")],
        },
    ]
}
