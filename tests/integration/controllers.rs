//! The metadata quorum and the controller as a script reaches them, where a condition cannot say
//! what must hold.

use std::sync::Arc;

use highwater::history::Run;
use highwater::scenario::Script;
use highwater::sim::World;
use highwater::view::metadata_log::{MetadataLogEntry, entries};
use highwater::view::report::{Extent, report};
use highwater::wire::{BrokerId, ControllerId};

/// Runs a script to its end.
fn run(text: &str) -> Run {
    let script = Script::read(text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut run = Run::start(Arc::new(script), None).unwrap_or_else(|refused| panic!("{}", refused.message));
    run.finish(None, |_, _| {});
    run
}

/// What held instead, at every check that failed: also what a tool refused.
fn refusals(text: &str) -> Vec<String> {
    run(text).checks().iter().filter(|check| !check.ok).map(|check| check.actual.clone()).collect()
}

/// The metadata log of a controller.
fn log(world: &World, id: ControllerId) -> Vec<MetadataLogEntry> {
    let controller = world.controller(id).expect("the script has this controller");
    let committed = controller.high_watermark().unwrap_or(controller.disk.log.log_start());
    entries(&controller.disk, controller.disk.log.log_start(), committed, world.image())
}

fn fences_broker_1(entries: &[MetadataLogEntry]) -> bool {
    entries.iter().any(|e| e.kind == "BrokerRegistrationChangeRecord" && e.text == "broker 1: fenced")
}

#[test]
fn what_a_cut_off_controller_decided_is_cut_from_its_log() {
    let cut_off = "cluster brokers=3 controllers=3 seed=46 controller.quorum.fetch.timeout.ms=9000\n\
                   topic orders replica-assignment=1:2:3\n\
                   kill broker 1\n\
                   wait 4s\n\
                   cut active | c1,c2,c3\n\
                   wait 7s\n";
    let before = run(cut_off);
    let old = before.world.active_controller().expect("it does not know yet that it is alone");
    let decided = log(&before.world, old);
    assert!(fences_broker_1(&decided) && decided.iter().any(|entry| !entry.committed), "{decided:?}");
    assert!(before.world.image().is_active(BrokerId(1)), "nobody heard of it");
    let healed = format!("{cut_off}until controller-epoch >= 2 within 20s\nheal\nwait 3s\n");
    let after = run(&healed);
    assert!(!fences_broker_1(&log(&after.world, old)), "it has what the new leader wrote");
    assert!(after.world.image().is_active(BrokerId(1)), "the new controller counts the session anew");
    let later = run(&format!("{healed}until broker 1 = dead and leader orders-0 = 2 within 20s\n"));
    assert!(later.all_checks_hold());
    assert!(fences_broker_1(&log(&later.world, old)));
}

#[test]
fn a_group_is_deleted_only_when_it_is_there_and_nobody_belongs_to_it() {
    let groups = "cluster brokers=3 controllers=3 seed=12\n\
                  topic orders replica-assignment=1:2:3\n\
                  consumer c1 group=billing topics=orders\n\
                  consumer c2 group=audit topics=orders group.protocol=consumer\n\
                  share-consumer s1 group=jobs topics=orders\n\
                  until state billing = Stable and assigned s1 = orders-0 within 1min\n\
                  delete group billing\ndelete group audit\ndelete group jobs\ndelete group nobody\n\
                  until state billing = Stable and state audit = Stable within 1s\n\
                  expect assigned s1 = orders-0\n";
    let refused = refusals(groups);
    assert_eq!(refused, ["NON_EMPTY_GROUP", "NON_EMPTY_GROUP", "NON_EMPTY_GROUP", "GROUP_ID_NOT_FOUND"]);
}

#[test]
fn the_offsets_of_a_group_are_reset_only_while_nobody_belongs_to_it_and_the_tool_names_its_state() {
    let groups = "cluster brokers=3 controllers=3 seed=12\n\
                  topic orders replica-assignment=1:2:3\n\
                  consumer c1 group=billing topics=orders\n\
                  consumer c2 group=audit topics=orders group.protocol=consumer\n\
                  share-consumer s1 group=jobs topics=orders\n\
                  until state billing = Stable and state audit = Stable and assigned s1 = orders-0 within 1min\n\
                  reset-offsets billing orders to=earliest\nreset-offsets audit orders to=earliest\n\
                  reset-offsets jobs orders to=earliest\n\
                  consumer c3 group=billing topics=orders\n\
                  until state billing = PreparingRebalance within 10s\n\
                  reset-offsets billing orders to=earliest\n\
                  reset-offsets nobody orders to=earliest\n\
                  expect committed nobody orders-0 = 0\n";
    let refused = |group, state| {
        format!("Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}.")
    };
    let expected = [
        refused("billing", "Stable"),
        refused("audit", "Stable"),
        "Share group 'jobs' is not empty.".to_string(),
        refused("billing", "PreparingRebalance"),
    ];
    assert_eq!(refusals(groups), expected);
}

#[test]
fn voters_are_changed_one_at_a_time_and_only_where_the_log_names_them() {
    let fixed = refusals("cluster controllers=3 kraft.version=0\nadd controller c4\nremove controller c1\n");
    let words = |verb: &str| {
        format!("UNSUPPORTED_VERSION: Cluster doesn't support {verb} voter because the kraft.version feature is 0")
    };
    assert_eq!(fixed, [words("adding"), words("removing")]);
    let twice = refusals("cluster controllers=3\nadd controller c4\nadd controller c4\nremove controller c4\n");
    assert_eq!(twice, ["DUPLICATE_VOTER: The voter id for c4 is already part of the set of voters [c1, c2, c3, c4]."]);
    let last = refusals("cluster controllers=2\nremove controller c2\nwait 3s\nremove controller c1\n");
    assert_eq!(last, ["VOTER_NOT_FOUND: Cannot remove voter c1 from the set of voters [c1]"]);
}

#[test]
fn a_quorum_of_one_grows_to_three_and_shrinks_again_around_its_first_member() {
    let run = run("cluster controllers=1 brokers=3 seed=5\n\
                   topic orders partitions=2 replication-factor=3\n\
                   add controller c2\n\
                   add controller c3\n\
                   expect voters = c1,c2,c3\n\
                   kill controller c1\n\
                   until controller != none within 15s\n\
                   remove controller c1\n\
                   expect voters = c2,c3\n\
                   create-partitions orders 4\n\
                   start controller c1\n\
                   wait 5s\n\
                   remove controller c3\n\
                   until controller = c2 within 15s\n\
                   expect voters = c2\n\
                   topic payments partitions=1 replication-factor=3\n\
                   wait 1s\n\
                   expect offline = 0\n");
    let failed: Vec<_> = run.checks().iter().filter(|check| !check.ok).collect();
    assert!(failed.is_empty(), "{failed:?}");
    // Those that vote no more still follow.
    let known = log(&run.world, ControllerId(2));
    for observer in [1, 3] {
        assert_eq!(log(&run.world, ControllerId(observer)).last(), known.last(), "c{observer} observes");
    }
}

#[test]
fn a_snapshot_holds_what_the_records_before_it_say() {
    let run = run("cluster brokers=4 controllers=3 seed=34 racks=a,b,c,a \
                   metadata.log.max.record.bytes.between.snapshots=3000 metadata.max.retention.bytes=5000\n\
                   topic orders partitions=4 replication-factor=3 retention.ms=100000\n\
                   producer app\n\
                   send app orders a=1\n\
                   alter broker 2 log.retention.bytes=1000\n\
                   alter brokers log.retention.bytes=2000\n\
                   kill broker 4\n\
                   wait 2min\n\
                   delete topic orders\n\
                   topic orders partitions=2 replication-factor=3\n\
                   add controller c4\n\
                   start broker 4\n\
                   until broker 4 = alive within 20s\n\
                   wait 1s\n");
    assert!(run.all_checks_hold(), "{:?}", run.checks());
    let world = &run.world;
    let image = world.image();
    for (id, _, controller) in world.controllers() {
        assert_eq!(controller.image(), Some(image), "{id}");
        assert!(!controller.disk.snapshots.is_empty(), "{id} wrote or fetched snapshots");
    }
    for (id, _, broker) in world.brokers() {
        assert_eq!(broker.image(), Some(image), "broker {}", id.0);
    }
    let fetched = world.controller(ControllerId(4)).expect("it was added");
    assert!(fetched.disk.log.log_start().0 > 0, "the beginning came as a snapshot");
}

#[test]
fn the_report_gives_the_metadata_log_record_by_record() {
    let run = run("cluster controllers=3\ntopic orders\nalter topic orders retention.ms=5\n");
    let whole = serde_json::to_value(report(&run, &[], Extent::default())).expect("a report is JSON");
    let log = whole["metadata"]["log"].as_array().expect("the log stands in the report");
    let kinds: Vec<&str> = log.iter().filter_map(|entry| entry["kind"].as_str()).collect();
    assert_eq!(kinds[..3], ["LeaderChangeMessage", "KRaftVersionRecord", "VotersRecord"]);
    assert!(kinds.contains(&"RegisterBrokerRecord") && kinds.contains(&"PartitionRecord"));
    assert!(log.iter().enumerate().all(|(at, entry)| entry["offset"] == at), "no offset is left out");
    assert_eq!(log.last().map(|entry| entry["text"].clone()), Some("orders: retention.ms = 5".into()));
    assert_eq!(whole["metadata"]["features"]["metadata.version"], 29);
    assert_eq!(whole["metadata"]["voters"], serde_json::json!(["c1", "c2", "c3"]));
    let brief = serde_json::to_value(report(&run, &[], Extent { brief: true, digest: false })).expect("JSON");
    assert_eq!(brief["metadata"].get("log"), None);
}
