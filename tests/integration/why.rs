//! Why? From every kind of value the chain of causes is found, and it leads back to what was done.

use highwater::history::History;
use highwater::scenario::script::Script;
use highwater::time::{Duration, Instant};
use highwater::view::events;
use highwater::view::inspect::{self, Selection};
use highwater::view::why::Whys;

/// The reasons of the value under this name, the youngest first, at the end of the script.
fn why(script: &str, selection: Selection, name: &str) -> Vec<String> {
    why_in(script, selection, None, name)
}

/// The same, where several sections have a value of this name.
fn why_in(script: &str, selection: Selection, section: Option<&str>, name: &str) -> Vec<String> {
    let mut history = played(script);
    let inspection = inspect::inspect(history.world(), &selection).expect("it can be inspected");
    let rows =
        inspection.sections.into_iter().flat_map(|s| s.rows.into_iter().map(move |row| (s.title.clone(), row.name)));
    let rows: Vec<(String, String)> = rows.collect();
    let shown = rows.iter().find(|row| row.1 == name && section.is_none_or(|section| section == row.0));
    let (section, _) = shown.unwrap_or_else(|| panic!("the inspector shows no {name:?} in {section:?} among {rows:?}"));
    let mut whys = Whys::default();
    whys.look(&history);
    let event = whys.of(&history, &selection, section, name).unwrap_or_else(|| panic!("nothing is known of {name:?}"));
    let told = events::causes(&history, event).into_iter().map(|row| row.text).collect();
    // Before it came about, it had another reason or none.
    history.seek(Instant::ZERO);
    assert_ne!(whys.of(&history, &selection, section, name), Some(event), "a reason does not lie in the future");
    told
}

fn played(script: &str) -> History {
    let script = Script::read(script).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut history = History::open(script.into()).expect("the cluster settles");
    history.finish_script();
    let checks = history.head().checks().clone();
    assert!(checks.iter().all(|check| check.ok), "{checks:?}");
    history
}

#[track_caller]
fn check(told: &[String], expected: &[&str]) {
    let mut rest = told.iter();
    for wanted in expected {
        assert!(rest.any(|line| line.contains(wanted)), "no {wanted:?}, in this order, in {told:#?}");
    }
}

const THREE: &str = "cluster brokers=3 controllers=3 seed=5\ntopic orders replica-assignment=1:2:3 min.insync.replicas=2\n\
    producer app linger.ms=0 retries=0\nconsumer c1 group=billing topics=orders auto.offset.reset=earliest\n\
    send app orders alice=created\nuntil acked app = 1 and delivered c1 orders-0 = 1 within 30s\n";

fn orders() -> Selection {
    Selection::Partition("orders-0".to_string())
}

#[test]
fn why_does_another_broker_lead() {
    let script = format!("{THREE}kill broker 1\nuntil leader orders-0 = 2 within 15s\n");
    for name in ["leader", "leader epoch"] {
        let told = why(&script, orders(), name);
        check(&told, &["orders-0: leader 1 → 2", "broker 1 is fenced: no heartbeat", "broker 1 died"]);
    }
}

#[test]
fn why_did_the_isr_shrink_and_grow() {
    let shrink = format!("{THREE}cut 1 | 3\nsend app orders a=1\nuntil isr orders-0 = 1,2 within 50s\n");
    check(&why(&shrink, orders(), "ISR"), &["orders-0: ISR shrinks 1,2,3 → 1,2"]);
    let grow = format!("{shrink}heal\nuntil isr orders-0 = 1,2,3 within 1min\n");
    check(&why(&grow, orders(), "ISR"), &["orders-0: ISR grows 1,2 → 1,2,3"]);
    let dead = format!("{THREE}kill broker 3\nuntil isr orders-0 = 1,2 within 15s\n");
    check(&why(&dead, orders(), "ISR"), &["ISR", "broker 3 died"]);
}

#[test]
fn why_is_the_high_watermark_there() {
    let told = why(THREE, orders(), "high watermark");
    // Whichever follower came second made it complete.
    assert!(told[1].contains("follower 2 appends") || told[1].contains("follower 3 appends"), "{told:#?}");
    check(&told, &["high watermark 1", "appends", "leader 1 appends", "app sends alice=created"]);
    let follower = Selection::Replica { partition: "orders-0".to_string(), broker: 3 };
    let script = format!("{THREE}until hw orders-0@3 = 1 within 5s\n");
    check(&why(&script, follower, "high watermark"), &["orders-0: high watermark 1 at follower 3"]);
}

/// One message is about many partitions: what it brings about in one of them is no reason in another.
#[test]
fn a_chain_of_causes_stays_with_its_partition() {
    const TWO: &str = "cluster brokers=3 controllers=3 seed=5\n\
        topic orders replica-assignment=1:2:3,1:2:3 min.insync.replicas=2\n\
        producer app\nconsumer c1 group=billing topics=orders auto.offset.reset=earliest\nwait 6s\n\
        send app orders alice=first partition=0\nsend app orders bob=other partition=1\n\
        until acked app = 2 and delivered c1 orders-0 = 1 and delivered c1 orders-1 = 1 within 30s\n\
        until hw orders-0@2 = 1 and hw orders-1@2 = 1 and hw orders-0@3 = 1 and hw orders-1@3 = 1 within 5s\n";
    for (partition, key) in [("orders-0", "alice=first"), ("orders-1", "bob=other")] {
        let about = |told: &[String]| {
            let others = ["orders-0", "orders-1"].into_iter().find(|other| *other != partition).expect("there are two");
            assert!(told.iter().all(|line| !line.contains(others)), "{partition}: {told:#?}");
        };
        let exactly = |told: &[String], expected: &[&str]| {
            assert_eq!(told.len(), expected.len(), "{told:#?}");
            check(told, expected);
            about(told);
        };
        let leader = why(TWO, Selection::Partition(partition.to_string()), "high watermark");
        assert!(leader[1].contains("follower 2 appends") || leader[1].contains("follower 3 appends"), "{leader:#?}");
        exactly(&leader, &["high watermark 1 at leader 1", "appends", "leader 1 appends", key]);
        for broker in [2, 3] {
            let replica = Selection::Replica { partition: partition.to_string(), broker };
            let told = why(TWO, replica, "high watermark");
            let here = format!("high watermark 1 at follower {broker}");
            exactly(&told, &[&here, "high watermark 1 at leader 1", "appends", "leader 1 appends", key]);
        }
        let told = why(TWO, Selection::Consumer("c1".to_string()), partition);
        check(&told, &[partition, "high watermark 1 at leader 1", "leader 1 appends", key]);
        about(&told);
    }
    let told = why(TWO, Selection::Producer("app".to_string()), "acknowledged");
    check(&told, &["acknowledged", "high watermark 1 at leader 1", "leader 1 appends", "app sends"]);
}

#[test]
fn why_was_a_send_refused() {
    let script = format!(
        "{THREE}kill broker 2\nkill broker 3\nuntil isr orders-0 = 1 within 20s\nwait 1s\nsend app orders alice=paid\n\
         until failed app NOT_ENOUGH_REPLICAS = 1 within 10s\n"
    );
    for name in ["failed", "NOT_ENOUGH_REPLICAS"] {
        let told = why(&script, Selection::Producer("app".to_string()), name);
        check(&told, &["NOT_ENOUGH_REPLICAS", "alice"]);
    }
}

#[test]
fn why_is_a_group_behind() {
    let script =
        format!("{THREE}wait 6s\npause c1\nsend app orders bob=created\nuntil lag billing orders-0 = 1 within 5s\n");
    for selection in [Selection::Group("billing".to_string()), Selection::Consumer("c1".to_string())] {
        check(&why(&script, selection, "lag of orders-0"), &["high watermark", "bob"]);
    }
    let caught_up = format!("{script}resume c1\nuntil lag billing orders-0 = 0 within 20s\n");
    check(&why(&caught_up, Selection::Group("billing".to_string()), "lag of orders-0"), &["committed"]);
}

#[test]
fn why_has_a_consumer_these_partitions_and_this_position() {
    let script = format!(
        "{THREE}consumer c2 group=billing topics=orders session.timeout.ms=10000\n\
         until members billing = 2 and state billing = Stable within 30s\nwait 1s\nkill consumer c2\n\
         until members billing = 1 and state billing = Stable within 40s\nuntil assigned c1 = orders-0 within 10s\n"
    );
    let consumer = || Selection::Consumer("c1".to_string());
    check(&why(&script, consumer(), "assignment"), &["assigned", "billing"]);
    let script = format!("{THREE}wait 1s\nseek c1 orders-0 0\n");
    check(&why(&script, consumer(), "orders-0"), &["orders-0"]);
}

/// Each attempt finds the coordinator dead, long after its connections broke: that is its reason.
#[test]
fn why_does_every_commit_fail() {
    let script = "cluster brokers=3 controllers=3 seed=7 broker.session.timeout.ms=30000\n\
        topic orders replica-assignment=1:2:3\nproducer app\n\
        consumer c1 group=billing topics=orders auto.offset.reset=earliest\nuntil assigned c1 = orders-0 within 30s\n\
        send app orders alice=created\nuntil delivered c1 orders-0 = 1 within 10s\n\
        kill broker coordinator:billing\nwait 20s\n";
    let script = Script::read(script).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut history = History::open(script.into()).expect("the cluster settles");
    history.finish_script();
    let told: Vec<_> = history.steps().iter().flat_map(|step| step.events.clone()).collect();
    let failed: Vec<_> = told.iter().filter(|event| event.fact.kind() == "CommitFailed").collect();
    assert!(failed.len() > 2, "only {} commits failed", failed.len());
    let mattering = failed.iter().filter(|event| event.fact.matters()).count();
    assert_eq!(mattering, 1, "what fails again as before is no news");
    for event in failed {
        let causes: Vec<String> = events::causes(&history, event.id.0).into_iter().map(|row| row.text).collect();
        check(&causes, &["NETWORK_EXCEPTION", "died"]);
        // A commit waits for a coordinator, and the kill has begun the search for one.
        let root = event.root.and_then(|root| told.iter().find(|other| other.id == root));
        assert!(root.is_none_or(|root| root.fact.kind() == "Killed"), "{root:?}");
    }
}

#[test]
fn why_does_a_leader_believe_this_of_its_follower() {
    let replica = Selection::Replica { partition: "orders-0".to_string(), broker: 1 };
    let told = why_in(THREE, replica, Some("Follower 3 as the leader sees it"), "log end offset");
    check(&told, &["orders-0: follower 3 appends offset 0", "orders-0: leader 1 appends offset 0", "app sends alice"]);
}

#[test]
fn why_is_a_record_there_and_readable() {
    let script =
        format!("{THREE}send app orders bob=b\nsend app orders carol=c\nuntil acked app = 3 within 5s\nwait 1s\n");
    let record = |broker| Selection::Record { partition: "orders-0".to_string(), broker, offset: 1 };
    check(&why(&script, record(2), "offset"), &["orders-0: follower 2 appends offset 1", "app sends bob=b"]);
    let told = why(&script, record(1), "below the high watermark");
    assert!(told[0].starts_with("orders-0: high watermark 2 at leader 1"), "{told:?}");
}

#[test]
fn why_does_a_broker_lead_more_now_and_who_coordinates() {
    let script = format!("{THREE}kill broker leader:orders-0\nuntil leader orders-0 = 2 within 15s\nwait 10s\n");
    check(&why(&script, Selection::Broker(2), "partitions led"), &["leader 1 → 2", "broker 1 died"]);
    let script = format!("{THREE}kill broker coordinator:billing\nwait 20s\n");
    check(
        &why(&script, Selection::Group("billing".to_string()), "coordinator"),
        &["__consumer_offsets-", "is fenced", "died"],
    );
}

#[test]
fn why_does_a_setting_hold_and_where_did_the_log_begin_anew() {
    let script =
        format!("{THREE}alter topic orders min.insync.replicas=1\ndelete-records orders-0 before=1\nwait 1s\n");
    check(&why(&script, orders(), "min.insync.replicas in effect"), &["orders: min.insync.replicas = 1"]);
    check(&why(&script, orders(), "log start offset"), &["orders-0"]);
}

#[test]
fn why_does_a_share_group_stand_there() {
    let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders replica-assignment=1:2:3\nproducer app linger.ms=0\n\
        alter group jobs share.auto.offset.reset=earliest\nshare-consumer s1 group=jobs topics=orders\nwait 5s\n\
        send app orders alice=created\nuntil delivered s1 orders-0 = 1 within 10s\nwait 1s\n";
    let told = why(script, Selection::Group("jobs".to_string()), "start offset");
    assert!(told[0].contains("jobs"), "{told:?}");
    check(&why(script, Selection::Consumer("s1".to_string()), "records delivered"), &["s1"]);
}

#[test]
fn why_is_a_transaction_where_it_is() {
    let script = "cluster brokers=3 controllers=3 seed=5\ntopic orders\nproducer tx transactional.id=t\nwait 1s\n\
        begin tx\nsend tx orders a=1\nwait 1s\ncommit tx\nwait 1s\n";
    check(&why(script, Selection::Producer("tx".to_string()), "state"), &["tx"]);
}

#[test]
fn why_does_a_message_travel() {
    let mut history = played(&format!("{THREE}send app orders bob=b\nwait 1ms\n"));
    let sent =
        history.steps().iter().rev().find(|step| step.events.iter().any(|event| event.fact.kind() == "RecordSent"));
    let sent = sent.expect("a record was sent").at;
    history.seek(sent + Duration::from_micros(100));
    let mut whys = Whys::default();
    whys.look(&history);
    let flying = history.world().network().in_flight().map(|message| Selection::Message(message.id.0));
    let mut inspected = flying.filter_map(|it| Some((inspect::inspect(history.world(), &it)?, it)));
    let (produce, selection) =
        inspected.find(|(it, _)| it.title == "PRODUCE request").expect("the record is on its way");
    let about = produce.about.expect("it says what it is for");
    assert!(about.contains("leader") && about.contains("every replica of the ISR"), "{about}");
    let event = whys.of(&history, &selection, "On its way", "sent at").expect("it has a reason");
    let told: Vec<String> = events::causes(&history, event).into_iter().map(|row| row.text).collect();
    check(&told, &["app sends bob=b"]);
}

#[test]
fn why_is_a_broker_not_registered() {
    let script = format!("{THREE}stop broker 1\nuntil broker 1 = dead within 10s\nstart broker 1\nwait 100ms\n");
    check(&why(&script, Selection::Broker(1), "broker epoch"), &["DUPLICATE_BROKER_REGISTRATION", "broker 1 starts"]);
}
