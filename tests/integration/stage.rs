//! What the stage shows, asked of a history without a browser.

use highwater::history::History;
use highwater::scenario::script::Script;
use highwater::view::guarantees::guarantees;
use highwater::view::inspect::{Selection, inspect};
use highwater::view::outcome::{differences, outcome};
use highwater::view::stage::{Focus, Projector};

const GROUP: &str = "cluster brokers=3 controllers=3 seed=5\ntopic orders\nproducer app linger.ms=0\n\
    consumer c1 group=billing topics=orders auto.offset.reset=earliest\n\
    until generation billing = 1 within 30s\n";

/// The history of a script, whose checks all hold.
fn played(script: &str) -> History {
    let script = Script::read(script).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut history = History::open(script.into()).expect("the cluster settles");
    history.finish_script();
    assert!(history.head().checks().iter().all(|check| check.ok), "{:?}", history.head().checks());
    history
}

/// The state of the group on its card, and its generation, after some more of the script.
fn group(more: &str) -> (String, i32) {
    let history = played(&format!("{GROUP}{more}"));
    let stage = Projector::default().stage(&history, false, &Focus::default());
    let card = stage.groups.first().expect("there is a group");
    (card.state.clone(), card.generation)
}

#[test]
fn a_group_whose_coordinator_is_down_is_not_called_dead() {
    assert_eq!(group("wait 5s\n"), ("Stable".to_string(), 1));
    assert_eq!(group("kill broker coordinator:billing\n"), ("No coordinator".to_string(), 0));
    // Between its election and the moment when it hears of it, the next coordinator knows of no group.
    let mut history = played(&format!("{GROUP}kill broker coordinator:billing\nwait 12s\n"));
    let fenced = |step: &&highwater::sim::Step| step.events.iter().any(|event| event.fact.kind() == "BrokerFenced");
    let at = history.steps().iter().rev().find(fenced).expect("the coordinator is fenced").at;
    history.seek(at);
    let stage = Projector::default().stage(&history, false, &Focus::default());
    assert!(stage.groups[0].coordinator.is_some(), "there is another one");
    assert_eq!(stage.groups[0].state, "No coordinator");
}

#[test]
fn what_nobody_committed_is_delivered_again_from_where_the_reset_begins() {
    let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders replica-assignment=1:2:3\n\
        producer app linger.ms=0\n\
        consumer all group=all topics=orders auto.offset.reset=earliest enable.auto.commit=false\n\
        consumer new group=new topics=orders enable.auto.commit=false\n\
        until assigned all = orders-0 and assigned new = orders-0 within 30s\nwait 1s\n\
        send app orders a=1\nsend app orders a=2\n\
        until delivered all orders-0 = 2 and delivered new orders-0 = 2 within 5s\n";
    let history = played(script);
    let stage = Projector::default().stage(&history, false, &Focus { rows: 0..1, ..Focus::default() });
    let restarts: Vec<_> = stage.rows[0].cursors.iter().map(|cursor| (cursor.committed, cursor.restart)).collect();
    assert_eq!(restarts, [(None, Some(0)), (None, None)]);
    let of_cards = stage.groups.iter().map(|group| group.consumers[0].partitions[0].restart).collect::<Vec<_>>();
    assert_eq!(of_cards, [Some(0), None]);
    let windows: Vec<_> =
        guarantees(history.world(), 0).lines.into_iter().filter(|line| line.contains("window")).collect();
    assert!(windows[0].contains("2 in the redelivery window"), "{windows:?}");
    assert!(windows[1].contains("0 in the redelivery window"), "{windows:?}");
}

#[test]
fn a_member_that_missed_a_rebalance_shows_its_old_generation() {
    let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders partitions=2 replication-factor=3\n\
        consumer c1 group=billing topics=orders\nuntil generation billing = 1 within 30s\nwait 5s\n\
        freeze consumer c1\nconsumer c2 group=billing topics=orders\n\
        until generation billing >= 2 within 10min\nwait 1s\n";
    let history = played(script);
    let stage = Projector::default().stage(&history, false, &Focus::default());
    let cards: Vec<_> =
        stage.groups[0].consumers.iter().map(|card| (card.name.as_str(), card.other_generation)).collect();
    assert_eq!(cards, [("c1", Some(1)), ("c2", None)]);
}

#[test]
fn a_broker_tells_which_requests_it_has_not_read_yet() {
    let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders replica-assignment=1:2:3\n\
        producer app linger.ms=0 batch.size=0\nsend app orders a=0\nuntil acked app = 1 within 5s\nwait 1s\n\
        link 1->2 latency=200ms\nwait 1s\n\
        send app orders a=1\nsend app orders a=2\nsend app orders a=3\nwait 10ms\n";
    let history = played(script);
    let told = inspect(history.world(), &Selection::Broker(1)).expect("broker 1 can be inspected");
    let unread = told.sections.iter().find(|section| section.title.starts_with("Unread"));
    let rows = unread.map(|section| section.rows.iter().map(|row| (row.name.as_str(), row.value.as_str())).collect());
    assert_eq!(rows, Some(vec![("PRODUCE from app", "2")]));
}

#[test]
fn a_stream_has_a_card_and_hands_on_the_log_also_while_it_is_dead() {
    let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders replica-assignment=1:2:3\n\
        producer app linger.ms=0\nsend app orders a=0\nsend app orders a=1\nuntil acked app = 2 within 5s\n\
        stream s1 subscribe=orders startingOffsets=earliest trigger=1s\nuntil batch s1 = 0 within 5s\n\
        kill stream s1\nsend app orders a=2\nuntil acked app = 3 within 5s\n";
    let history = played(script);
    let focus = Focus { rows: 0..1, ..Focus::default() };
    let stage = Projector::default().stage(&history, false, &focus);
    let card = stage.streams.first().expect("there is a stream");
    assert_eq!((card.state, card.done, card.planned, card.delivered), ("dead", Some(0), None, 2));
    let reading = card.partitions.first().expect("it reads a partition");
    assert_eq!((reading.position, reading.committed, card.lag), (None, Some(2), 1));
    let cursor = stage.rows[0].cursors.first().expect("its hands are on the log");
    assert_eq!((cursor.consumer.as_str(), &cursor.group, cursor.committed), ("s1", &None, Some(2)));
    let told = inspect(history.world(), &Selection::Stream("s1".to_string())).expect("s1 can be inspected");
    let rows = told.sections.iter().flat_map(|section| &section.rows);
    let checkpoint = rows.into_iter().find(|row| row.name == "checkpoint").map(|row| row.value.as_str());
    assert_eq!(checkpoint, Some("{\"orders\":{\"0\":2}}"));
}

#[test]
fn two_futures_differ_by_how_far_their_streams_and_share_groups_came() {
    let begin = "cluster brokers=3 controllers=3 seed=5\ntopic orders replica-assignment=1:2:3\n\
        producer app linger.ms=0\nstream s1 subscribe=orders startingOffsets=earliest trigger=1s\n\
        alter group jobs share.auto.offset.reset=earliest\nshare-consumer w1 group=jobs topics=orders\nwait 8s\n";
    let come_to = |more: &str| {
        let script = Script::read(&format!("{begin}{more}")).unwrap_or_else(|errors| panic!("{errors:?}"));
        let mut history = History::open(script.into()).expect("the cluster settles");
        history.finish_script();
        outcome(history.world())
    };
    let told = differences(&come_to("wait 8s\n"), &come_to("send app orders a=1\nwait 8s\n"));
    let told: Vec<_> = told.iter().map(|d| (d.what.as_str(), d.here.as_str(), d.there.as_str())).collect();
    assert!(told.contains(&("s1: records given to the sink", "0", "1")), "{told:?}");
    assert!(told.contains(&("w1: records delivered", "0", "1")), "{told:?}");
    assert!(told.contains(&("orders-0 in jobs: start offset", "0", "1")), "{told:?}");
}

#[test]
fn a_call_that_throws_is_no_failed_record() {
    let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders\nproducer app transactional.id=t\nwait 1s\n\
        send app orders a=1\nwait 1s\nexpect failed app = 0 and acked app = 0 and pending app = 0\n";
    let history = played(script);
    let stage = Projector::default().stage(&history, false, &Focus::default());
    let card = &stage.producers[0];
    assert_eq!((card.sent, card.acked, card.failed, card.pending), (0, 0, 0, 0));
    let inspection = inspect(history.world(), &Selection::Producer("app".to_string())).expect("it can be inspected");
    let threw = inspection.sections[0].rows.iter().find(|row| row.name.contains("threw")).expect("it is told");
    assert_eq!(threw.value, "1");
}

#[test]
fn who_waits_for_a_topic_that_is_not_there_has_a_card_all_the_same() {
    let history = played(
        "cluster brokers=3 controllers=3 seed=5 auto.create.topics.enable=false\nproducer app\n\
        consumer c1 group=billing topics=orders\nsend app orders a=1\nwait 10s\nexpect pending app = 1\n",
    );
    let stage = Projector::default().stage(&history, false, &Focus::default());
    let consumer = &stage.groups[0].consumers[0];
    assert_eq!((consumer.name.as_str(), consumer.partitions.len()), ("c1", 0));
    assert_eq!((stage.producers[0].sent, stage.producers[0].pending), (1, 1));
    for selection in [Selection::Consumer("c1".to_string()), Selection::Group("billing".to_string())] {
        assert!(inspect(history.world(), &selection).is_some(), "{selection:?}");
    }
    assert!(guarantees(history.world(), 0).lines.iter().all(|line| !line.contains("orders")));
}
