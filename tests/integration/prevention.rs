//! Every way to lose an acknowledged record, with the setting that is named against it: each pair is a
//! script that loses records and, beside it, what it says. Where the setting is one of the script's own,
//! the script with that setting loses nothing. What takes a group back over what it has read is named, too.

use std::sync::Arc;

use highwater::history::Run;
use highwater::scenario::Script;
use highwater::view::guarantees::guarantees;

/// The script, the beginning of the advice, and what to change in the script to follow it.
const LOSSES: &[(&str, &str, (&str, &str))] = &[
    ("zombie_leader_acknowledges_and_loses", "acks=all at app", ("acks=1", "acks=all min.insync.replicas=2")),
    ("acknowledged_by_the_leader_only_is_lost", "acks=all at app", ("acks=1", "acks=all")),
    (
        "unclean_election_enabled_loses",
        "unclean.leader.election.enable=false",
        ("unclean.leader.election.enable=true", "unclean.leader.election.enable=false"),
    ),
    ("unclean_election_loses", "No unclean election by hand", ("elect unclean orders-0", "start broker 1")),
    (
        "one_replica_in_sync_loses_its_power",
        "min.insync.replicas=2 with replication factor 3",
        ("replica-assignment=1:2", "replica-assignment=1:2:3 min.insync.replicas=2"),
    ),
    (
        "all_replicas_lose_their_power",
        "flush.messages=1",
        ("min.insync.replicas=2", "min.insync.replicas=2 flush.messages=1"),
    ),
    (
        "only_replica_loses_its_disk",
        "replication factor 3 with min.insync.replicas=2",
        ("replica-assignment=1", "replica-assignment=1:2:3 min.insync.replicas=2"),
    ),
];

fn text(name: &str) -> String {
    std::fs::read_to_string(format!("tests/scripts/{name}.hw")).expect("the script exists")
}

fn run(name: &str, text: &str) -> Run {
    let script = Script::read(text).unwrap_or_else(|errors| panic!("{name}: {errors:?}\n{text}"));
    let mut run = Run::start(Arc::new(script), None).expect("its cluster settles");
    run.finish(None, |_, _| {});
    run
}

#[test]
fn each_loss_names_what_would_have_prevented_it() {
    for (name, advice, _) in LOSSES {
        let run = run(name, &text(name));
        let anomalies = guarantees(&run.world, 0).anomalies;
        let lost: Vec<&str> = anomalies.iter().filter(|a| a.word == "lost").map(|a| a.prevented_by.as_str()).collect();
        assert!(!lost.is_empty(), "{name} loses something");
        assert!(lost.iter().all(|said| said.starts_with(advice)), "{name}: {lost:?}");
        assert!(anomalies.iter().all(|anomaly| !anomaly.prevented_by.contains("  ")), "{anomalies:?}");
    }
}

#[test]
fn who_follows_the_advice_loses_nothing() {
    for (name, _, (setting, advised)) in LOSSES {
        let before = text(name);
        assert!(before.contains(setting), "{name} says {setting}");
        let (acks, topic) = advised.split_once(" min.insync").map_or((*advised, None), |(a, t)| (a, Some(t)));
        let text = match (setting.starts_with("acks"), topic) {
            (true, Some(least)) => before.replace(setting, acks).replace(":3\n", &format!(":3 min.insync{least}\n")),
            _ => before.replace(setting, advised),
        };
        let run = run(name, &text);
        assert_eq!(run.world.ledger().lost(), 0, "{name}:\n{text}");
    }
}

/// The script, and the beginning of the advice.
const REPETITIONS: &[(&str, &str)] = &[
    ("what_is_not_committed_is_read_again", "A shorter auto.commit.interval.ms (5000 at c1)"),
    ("a_group_whose_offsets_expired_reads_again", "auto.offset.reset=none"),
    ("seek_replays", "No seek"),
    ("offsets_are_reset_only_when_empty", "Nobody setting the group back"),
    ("a_slow_application_is_out_of_its_group", "A smaller max.poll.records"),
];

#[test]
fn each_repetition_names_what_would_have_prevented_it() {
    for (name, advice) in REPETITIONS {
        let run = run(name, &text(name));
        let anomalies = guarantees(&run.world, 0).anomalies;
        let again = anomalies.iter().filter(|a| a.word == "duplicated").map(|a| a.prevented_by.as_str());
        let again: Vec<&str> = again.collect();
        assert!(!again.is_empty(), "{name} reads something again");
        assert!(again.iter().all(|said| said.starts_with(advice)), "{name}: {again:?}");
    }
}
