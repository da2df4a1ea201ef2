//! The cases of kind `validate_offset_and_epoch` in `truncation.json`: what a leader of the quorum
//! answers to a fetch position (KafkaMetadataLogTest).

use bytes::Bytes;
use highwater::kafka::config::TopicConfig;
use highwater::kafka::log::Log;
use highwater::kafka::quorum::{FetchPosition, SnapshotId, validate_offset_and_epoch};
use highwater::time::Instant;
use highwater::wire::batch::{Batch, BatchHeader, NewRecord};
use highwater::wire::{LeaderEpoch, Offset};
use serde_json::{Value, json};

use crate::golden::int;

pub fn run_validate_case(case: &Value) -> Result<(), String> {
    let input = &case["input"];
    let log = log(input)?;
    let mut snapshots = Vec::new();
    for snapshot in input["snapshots"].as_array().into_iter().flatten() {
        snapshots.push(SnapshotId { epoch: epoch(snapshot, "epoch")?, end: Offset(int(snapshot, "offset")?) });
    }
    let (offset, last_epoch) = (Offset(int(input, "fetch_offset")?), epoch(input, "last_fetched_epoch")?);
    let got = match validate_offset_and_epoch(&log, &snapshots, offset, last_epoch) {
        FetchPosition::Valid { epoch, offset } => json!({"kind": "VALID", "epoch": epoch.0, "offset": offset.0}),
        FetchPosition::Diverging(end) => json!({"kind": "DIVERGING", "epoch": end.epoch.0, "offset": end.end.0}),
        FetchPosition::Snapshot(id) => json!({"kind": "SNAPSHOT", "epoch": id.epoch.0, "offset": id.end.0}),
    };
    if case["expect"] == got { Ok(()) } else { Err(format!("got {got}, expected {}", case["expect"])) }
}

/// A log that begins and ends where the case says, with one batch for each of its epochs.
fn log(input: &Value) -> Result<Log, String> {
    let mut log = Log::new(TopicConfig::default());
    let (start, end) = (Offset(int(input, "log_start_offset")?), Offset(int(input, "log_end_offset")?));
    if start > Offset::ZERO {
        log.truncate_fully_and_start_at(start);
    }
    let epochs = input["epochs"].as_array().ok_or("no epochs")?;
    for (number, entry) in epochs.iter().enumerate() {
        let next = match epochs.get(number + 1) {
            Some(next) => Offset(int(next, "start_offset")?),
            None => end,
        };
        let (epoch, first) = (epoch(entry, "epoch")?, Offset(int(entry, "start_offset")?));
        if next == first {
            log.assign_epoch(epoch, first);
            continue;
        }
        let records = batch(next - first).stamped(first, epoch);
        log.append_as_follower(records.bytes().clone(), epoch, Instant::ZERO).map_err(|error| format!("{error:?}"))?;
    }
    if log.log_end() != end { Err(format!("the log ends at {}", log.log_end())) } else { Ok(log) }
}

fn epoch(value: &Value, name: &str) -> Result<LeaderEpoch, String> {
    Ok(LeaderEpoch(int(value, name)? as i32))
}

fn batch(count: i64) -> Batch {
    let header = BatchHeader::PLAIN;
    let record = NewRecord { timestamp: 0, key: None, value: Some(Bytes::from_static(b"v")), headers: Vec::new() };
    Batch::build(&header, &vec![record; count as usize])
}
