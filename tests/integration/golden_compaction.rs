//! `compaction.json`: what a round of the cleaner leaves (LogCleanerTest, LogCleanerManagerTest).

use highwater::time::Instant;
use highwater::wire::Offset;
use highwater::wire::batch::Record;
use serde_json::{Value, json};

use crate::golden::{int, run_file, run_steps};
use crate::log_cases::LogCase;

#[test]
fn golden_compaction() {
    run_file(include_str!("../golden/compaction.json"), |case| {
        let mut subject = LogCase::new(&case["config"])?;
        run_steps(case, |step| apply(&mut subject, step))
    });
}

fn apply(subject: &mut LogCase, step: &Value) -> Result<Value, String> {
    let batches = || subject.log.batches(Offset::ZERO);
    Ok(match step["op"].as_str().unwrap_or("") {
        "clean" => {
            let active = subject.log.segments().last().ok_or("no segment")?.base();
            let up_to = step["up_to"].as_i64().map_or(active, Offset);
            let now = step["now_ms"].as_i64().map_or(subject.now, Instant::from_millis);
            // The tests' offset map has a load factor of 0.75.
            let entries = step["map_capacity"].as_i64().map_or(1_000_000, |slots| slots * 3 / 4);
            json!(subject.log.clean(Offset(int(step, "from")?), up_to, now, entries as u32).0)
        }
        "cleanable_offsets" => {
            let cleanable = subject.log.cleanable_from(step["last_clean_offset"].as_i64().map(Offset), subject.now);
            json!({
                "first_dirty_offset": cleanable.first_dirty.0,
                "first_uncleanable_offset": cleanable.first_uncleanable.0,
                "force_update_checkpoint": cleanable.reset_checkpoint,
            })
        }
        "batch_last_offsets" => batches().map(|batch| json!(batch.last_offset.0)).collect(),
        "batches" => batches()
            .map(|batch| {
                let mut told = json!({"base_offset": batch.base_offset.0, "last_offset": batch.last_offset.0,
                    "count": batch.record_count});
                if let Some(horizon) = batch.delete_horizon() {
                    told["delete_horizon_ms"] = json!(horizon);
                }
                told
            })
            .collect(),
        "offsets" => records(subject, true)?.iter().map(|record| json!(record.offset)).collect(),
        "data_keys" => {
            let data = records(subject, false)?.into_iter().filter(|record| record.value.is_some());
            data.map(|record| text(&record.key)).collect()
        }
        "records" => records(subject, false)?
            .iter()
            .map(|record| json!({"offset": record.offset, "key": text(&record.key), "value": text(&record.value)}))
            .collect(),
        _ => return subject.apply(step),
    })
}

fn records(subject: &LogCase, with_control: bool) -> Result<Vec<Record>, String> {
    let mut all = Vec::new();
    for batch in subject.log.batches(Offset::ZERO).filter(|batch| with_control || !batch.is_control()) {
        all.extend(batch.records().map_err(|e| e.to_string())?);
    }
    Ok(all)
}

fn text(bytes: &Option<bytes::Bytes>) -> Value {
    json!(bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
}
