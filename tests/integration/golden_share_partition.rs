//! What became of the records of a share partition, call after call, as Kafka's own SharePartition kept
//! it while its tests ran.
//!
//! A test may change Kafka's fields by hand, or let a write succeed or fail, between two of the calls
//! that were recorded. So each call begins with the state that was recorded before it, and a write whose
//! outcome was open may have ended in any way that explains what came next.

use highwater::kafka::fact::error_name;
use highwater::kafka::share::{
    AcknowledgementBatch, Acquire, AcquireMode, FetchedBatch, GapWindow, InFlightBatch, InFlightState, Limits,
    PartitionState, PersistedState, RecordState, SharePartition, StateBatch, StateWrite, Window, WriteId,
};
use highwater::sorted::SortedSet;
use highwater::time::{Duration, Instant};
use highwater::wire::{ErrorCode, LeaderEpoch, Offset, StrBytes, error, str_bytes};
use serde_json::{Value, json};

use crate::golden::{flag, int, int_or, run_file};

const NOW: Instant = Instant::ZERO;

#[test]
fn golden_share_partition() {
    run_file(include_str!("../golden/share_partition.json"), run);
}

/// A share partition and its writes whose outcome is open.
#[derive(Clone)]
struct Subject {
    partition: SharePartition,
    open: Vec<WriteId>,
}

fn run(case: &Value) -> Result<(), String> {
    let limits = Limits {
        max_in_flight_records: int(case, "max_in_flight_records")? as i32,
        max_delivery_count: int(case, "max_delivery_count")? as i16,
        record_lock_duration: Duration::from_millis(int(case, "record_lock_duration_ms")?),
    };
    // A test that calls more than was recorded has set the stage with it.
    let is_staged = case.get("hidden_test_action").is_some();
    let mut before = Value::Null;
    let mut subject: Option<Subject> = None;
    for (number, step) in case["steps"].as_array().ok_or("no steps")?.iter().enumerate() {
        let after = step.get("state_after").filter(|after| !after.is_null());
        let mut candidates = Vec::new();
        match &subject {
            Some(live) => {
                if dump(&live.partition) == before {
                    candidates.extend(outcomes(live.clone(), limits));
                } else {
                    candidates.push(Subject { partition: restore(limits, &before)?, open: Vec::new() });
                }
                // To ask where to fetch next is no call that was recorded, but it is remembered.
                let mut asked = candidates.clone();
                asked.iter_mut().for_each(|one| _ = one.partition.next_fetch_offset());
                candidates.extend(asked);
            }
            None => candidates.push(initial(limits, case, step)?),
        }
        let mut first_failure = None;
        let mut done = None;
        // Of the write of a lock that ended, nothing is recorded: it may be done, or open.
        let lock_ends = step["op"] == "acquisition-lock-timeout";
        let ways = candidates.iter().map(|one| (one.clone(), false));
        let open = candidates.iter().filter(|_| lock_ends).map(|one| (one.clone(), true));
        let ways: Vec<(Subject, bool)> = ways.chain(open).collect();
        for (mut candidate, leaves_open) in ways {
            let result = apply(&mut candidate, step, leaves_open).and_then(|()| match after {
                Some(after) if !same_state(after, &dump(&candidate.partition), is_staged) => {
                    Err(format!("the state is {}, not {after}", dump(&candidate.partition)))
                }
                _ => Ok(()),
            });
            match result {
                Ok(()) => {
                    done = Some(candidate);
                    break;
                }
                Err(why) => {
                    first_failure.get_or_insert(why);
                }
            }
        }
        let Some(done) = done else {
            return Err(format!("step {number} {}: {}", step["op"], first_failure.unwrap_or_default()));
        };
        before = after.cloned().unwrap_or_else(|| dump(&done.partition));
        subject = Some(done);
    }
    Ok(())
}

/// `find_next_fetch_offset` may be what the test itself has set.
fn same_state(expected: &Value, got: &Value, is_staged: bool) -> bool {
    let mut expected = expected.clone();
    if is_staged {
        expected["find_next_fetch_offset"] = got["find_next_fetch_offset"].clone();
    }
    expected == *got
}

fn initial(limits: Limits, case: &Value, step: &Value) -> Result<Subject, String> {
    let named = step["partition_state_before"].as_str().or(case["initial_partition_state"].as_str());
    let state = match named {
        Some("ACTIVE") => PartitionState::Active,
        Some("EMPTY") => PartitionState::Empty,
        Some("FENCED") => PartitionState::Fenced,
        other => return Err(format!("unknown state {other:?}")),
    };
    let window = Window { state, ..*SharePartition::new(limits, LeaderEpoch(0)).window() };
    let partition = SharePartition::with(limits, LeaderEpoch(0), window, []);
    Ok(Subject { partition, open: Vec::new() })
}

/// The subject as it is, and as it would be if writes had ended: well, badly, or badly after the locks ran out.
fn outcomes(live: Subject, limits: Limits) -> Vec<Subject> {
    let late = NOW + limits.record_lock_duration;
    let failed = Err(ErrorCode::UnknownServerError);
    let mut all = vec![live.clone()];
    for write in &live.open {
        for index in 0..all.len() {
            for (now, result) in [(NOW, Ok(())), (NOW, failed), (late, failed)] {
                let mut ended = all[index].clone();
                ended.open.retain(|open| open != write);
                ended.partition.write_done(now, *write, result);
                all.push(ended);
            }
        }
    }
    all
}

fn apply(subject: &mut Subject, step: &Value, leaves_open: bool) -> Result<(), String> {
    match step["op"].as_str().unwrap_or_default() {
        "maybeInitialize" => initialize(subject, step),
        "acquire" => acquire(subject, step),
        "acknowledge" => {
            let batches: Result<Vec<_>, String> =
                step["batches"].as_array().ok_or("no batches")?.iter().map(acknowledgement).collect();
            let result = subject.partition.acknowledge(NOW, &member(step)?, &batches?);
            settle(subject, step, result)
        }
        "releaseAcquiredRecords" => {
            let write = subject.partition.release_acquired(&member(step)?);
            settle(subject, step, Ok(write))
        }
        "updateLogStartOffset" => {
            subject.partition.update_log_start(Offset(int(step, "log_start_offset")?));
            Ok(())
        }
        // A lock that was cancelled does nothing any more.
        "acquisition-lock-timeout" if flag(step, "cancelled") => Ok(()),
        "acquisition-lock-timeout" => {
            let (first, last) = (Offset(int(step, "first_offset")?), Offset(int(step, "last_offset")?));
            let write = subject.partition.expire_lock(first, last);
            if leaves_open {
                subject.open.extend(write.map(|write| write.id));
                return Ok(());
            }
            settle(subject, step, Ok(write))
        }
        other => Err(format!("unknown op {other}")),
    }
}

/// Ends the write as the recorded future ended.
fn settle(subject: &mut Subject, step: &Value, result: Result<Option<StateWrite>, ErrorCode>) -> Result<(), String> {
    let expected = step["error"].as_str();
    match (step["future"].as_str(), result) {
        (Some("failed"), Err(error)) if expected == Some(error_name(error).as_str()) => Ok(()),
        (Some("failed"), Ok(Some(write))) => {
            // The write itself failed, with this error.
            subject.partition.write_done(NOW, write.id, Err(ErrorCode::UnknownServerError));
            match expected {
                Some("INVALID_RECORD_STATE" | "INVALID_REQUEST") | None => Err("it should have been refused".into()),
                Some(_) => Ok(()),
            }
        }
        (Some("pending"), Ok(Some(write))) => {
            subject.open.push(write.id);
            Ok(())
        }
        (None, Ok(write)) => {
            if let Some(write) = write {
                subject.partition.write_done(NOW, write.id, Ok(()));
            }
            Ok(())
        }
        (future, result) => Err(format!("the future is {future:?} {expected:?}, and here {result:?}")),
    }
}

fn initialize(subject: &mut Subject, step: &Value) -> Result<(), String> {
    let result = subject.partition.begin_initialize().and_then(|read| {
        if !read {
            return Ok(());
        }
        subject.partition.initialized(persister_answer(step))
    });
    match (step["future"].as_str(), result) {
        (None, Ok(())) => Ok(()),
        (Some("failed"), Err(error)) if step["error"] == error_name(error) => Ok(()),
        (future, result) => Err(format!("the future is {future:?} {}, and here {result:?}", step["error"])),
    }
}

/// The format shows what the persister answered only by what became of it.
fn persister_answer(step: &Value) -> Result<PersistedState, ErrorCode> {
    let after = &step["state_after"];
    let batches = after["in_flight"].as_array().into_iter().flatten();
    let batches: Result<Vec<StateBatch>, String> = batches.map(persisted).collect();
    let start = Offset(int_or(after, "start_offset", 0));
    let batch = |first, last, state| StateBatch { first, last, delivery_count: 1, state };
    let mut persisted = PersistedState {
        state_epoch: int_or(after, "state_epoch", 0) as i32,
        start,
        batches: batches.unwrap_or_default(),
    };
    if step["future"] != "failed" {
        if persisted.batches.is_empty() && flag(after, "find_next_fetch_offset") {
            // All that it told of was done with.
            persisted.start = start + -1;
            persisted.batches.push(batch(start + -1, start + -1, RecordState::Acknowledged));
        }
        return Ok(persisted);
    }
    if start == Offset::ZERO {
        let named = (1..200).filter_map(error).find(|error| step["error"] == error_name(*error));
        return Err(named.unwrap_or(ErrorCode::UnknownServerError));
    }
    // The answer was taken up to a batch that cannot be.
    persisted.batches.push(batch(start + -1, start, RecordState::Available));
    Ok(persisted)
}

fn acquire(subject: &mut Subject, step: &Value) -> Result<(), String> {
    let member = member(step)?;
    let wish = Acquire {
        now: NOW,
        member: &member,
        mode: match step["mode"].as_str() {
            Some("batch_optimized") => AcquireMode::BatchOptimized,
            Some("record_limit") => AcquireMode::RecordLimit,
            other => return Err(format!("unknown mode {other:?}")),
        },
        batch_size: int(step, "batch_size")? as i32,
        max_records: match &step["max_fetch_records"] {
            Value::String(text) if text == "unlimited" => i32::MAX,
            number => number.as_i64().ok_or("no max_fetch_records")? as i32,
        },
        fetch_offset: Offset(int(step, "fetch_offset")?),
    };
    let acquired = subject.partition.acquire(&wish, &fetched(step)?);
    let ranges: Vec<Value> = acquired
        .ranges
        .iter()
        .map(|range| {
            json!({"first_offset": range.first.0, "last_offset": range.last.0, "delivery_count": range.delivery_count})
        })
        .collect();
    let got = json!({"count": acquired.count, "acquired": ranges});
    if got == step["result"] { Ok(()) } else { Err(format!("acquired {got}, not {}", step["result"])) }
}

/// The format does not say which transactions were aborted: those whose batches were fetched and not
/// acquired by a reader of committed records.
fn fetched(step: &Value) -> Result<Vec<FetchedBatch>, String> {
    let committed = match step["isolation"].as_str() {
        Some("TXN_COMMITTED") => true,
        Some("HIGH_WATERMARK" | "LOG_END") => false,
        other => return Err(format!("unknown isolation {other:?}")),
    };
    let mut acquired = SortedSet::new();
    for range in step["result"]["acquired"].as_array().into_iter().flatten() {
        acquired.extend(int(range, "first_offset")?..=int(range, "last_offset")?);
    }
    let batch = |batch: &Value| {
        let (first, last) = (int(batch, "base_offset")?, int(batch, "last_offset")?);
        let transactional = flag(batch, "transactional") && !flag(batch, "control");
        let aborted = committed && transactional && !acquired.contains(&first);
        Ok(FetchedBatch { first: Offset(first), last: Offset(last), aborted })
    };
    step["fetched_batches"].as_array().ok_or("no batches")?.iter().map(batch).collect()
}

fn acknowledgement(batch: &Value) -> Result<AcknowledgementBatch, String> {
    let types = batch["acknowledge_types"].as_array().ok_or("no types")?;
    let types: Option<Vec<i8>> = types.iter().map(|id| i8::try_from(id.as_i64()?).ok()).collect();
    Ok(AcknowledgementBatch {
        first: Offset(int(batch, "first_offset")?),
        last: Offset(int(batch, "last_offset")?),
        types: types.ok_or("a type is a small number")?,
    })
}

fn persisted(batch: &Value) -> Result<StateBatch, String> {
    Ok(StateBatch {
        first: Offset(int(batch, "first_offset")?),
        last: Offset(int(batch, "last_offset")?),
        delivery_count: int(batch, "delivery_count")? as i16,
        state: state_named(&batch["state"])?,
    })
}

fn member(step: &Value) -> Result<StrBytes, String> {
    Ok(str_bytes(step["member_id"].as_str().ok_or("no member")?))
}

const STATES: [(&str, RecordState); 4] = [
    ("AVAILABLE", RecordState::Available),
    ("ACQUIRED", RecordState::Acquired),
    ("ACKNOWLEDGED", RecordState::Acknowledged),
    ("ARCHIVED", RecordState::Archived),
];

fn state_named(name: &Value) -> Result<RecordState, String> {
    let found = STATES.iter().find(|(text, _)| name.as_str() == Some(text));
    found.map(|(_, state)| *state).ok_or_else(|| format!("unknown state {name}"))
}

fn state_name(state: RecordState) -> &'static str {
    STATES.iter().find(|(_, one)| *one == state).map_or("?", |(name, _)| name)
}

/// The state in the words of the format.
fn dump(partition: &SharePartition) -> Value {
    let Window { state, state_epoch, start, end, find_next_fetch_offset, gap, delivery_complete_count } =
        *partition.window();
    let in_flight: Vec<Value> = partition.in_flight().map(dump_batch).collect();
    let mut dump = json!({
        "partition_state": format!("{state:?}").to_uppercase(),
        "start_offset": start.0,
        "end_offset": end.0,
        "find_next_fetch_offset": find_next_fetch_offset,
        "delivery_complete_count": delivery_complete_count,
        "state_epoch": state_epoch,
        "in_flight": in_flight,
    });
    if let Some(gap) = gap {
        dump["gap_window"] = json!({"end_offset": gap.end.0, "gap_start_offset": gap.gap_start.0});
    }
    dump
}

fn dump_batch(batch: &InFlightBatch) -> Value {
    let mut dump = json!({"first_offset": batch.first().0, "last_offset": batch.last().0});
    let Some(state) = batch.as_whole() else {
        let offsets = batch.states().map(|(offset, _, state)| {
            let member = state.member().map_or("", |member| member.as_str());
            let mut row =
                vec![json!(offset.0), json!(state_name(state.state())), json!(state.delivery_count()), json!(member)];
            row.extend(state.lock().map(|_| json!("lock")));
            Value::Array(row)
        });
        dump["offsets"] = offsets.collect();
        return dump;
    };
    dump["state"] = json!(state_name(state.state()));
    dump["delivery_count"] = json!(state.delivery_count());
    if let Some(member) = state.member() {
        dump["member_id"] = json!(member.as_str());
    }
    if state.lock().is_some() {
        dump["has_lock_timer"] = json!(true);
    }
    dump
}

/// A share partition in a state that was recorded.
fn restore(limits: Limits, recorded: &Value) -> Result<SharePartition, String> {
    let lock = NOW + limits.record_lock_duration;
    let gap = recorded.get("gap_window").map(|gap| {
        Ok::<_, String>(GapWindow {
            end: Offset(int(gap, "end_offset")?),
            gap_start: Offset(int(gap, "gap_start_offset")?),
        })
    });
    let window = Window {
        state: match recorded["partition_state"].as_str() {
            Some("ACTIVE") => PartitionState::Active,
            Some("EMPTY") => PartitionState::Empty,
            Some("INITIALIZING") => PartitionState::Initializing,
            Some("FAILED") => PartitionState::Failed,
            Some("FENCED") => PartitionState::Fenced,
            other => return Err(format!("unknown state {other:?}")),
        },
        state_epoch: int(recorded, "state_epoch")? as i32,
        start: Offset(int(recorded, "start_offset")?),
        end: Offset(int(recorded, "end_offset")?),
        find_next_fetch_offset: flag(recorded, "find_next_fetch_offset"),
        gap: gap.transpose()?,
        delivery_complete_count: int(recorded, "delivery_complete_count")? as i32,
    };
    let batches = recorded["in_flight"].as_array().ok_or("no in_flight")?.iter();
    let batches: Result<Vec<InFlightBatch>, String> = batches.map(|batch| restore_batch(batch, lock)).collect();
    Ok(SharePartition::with(limits, LeaderEpoch(0), window, batches?))
}

fn restore_batch(batch: &Value, lock: Instant) -> Result<InFlightBatch, String> {
    let (first, last) = (Offset(int(batch, "first_offset")?), Offset(int(batch, "last_offset")?));
    let held_by = |name: Option<&str>| name.filter(|name| !name.is_empty()).map(str_bytes);
    let Some(offsets) = batch["offsets"].as_array() else {
        let (state, count) = (state_named(&batch["state"])?, int(batch, "delivery_count")? as i16);
        let member = held_by(batch["member_id"].as_str());
        let lock = flag(batch, "has_lock_timer").then_some(lock);
        return Ok(InFlightBatch::whole(first, last, InFlightState::new(state, count, member, lock)));
    };
    let state = |row: &Value| {
        let count = row[2].as_i64().ok_or("no delivery count")? as i16;
        let lock = (row[4] == "lock").then_some(lock);
        Ok(InFlightState::new(state_named(&row[1])?, count, held_by(row[3].as_str()), lock))
    };
    let states: Result<Vec<InFlightState>, String> = offsets.iter().map(state).collect();
    Ok(InFlightBatch::per_offset(first, states?))
}
