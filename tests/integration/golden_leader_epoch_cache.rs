//! `leader_epoch_cache.json`: LeaderEpochFileCacheTest.

use highwater::kafka::log::epochs::{EpochCache, EpochEntry};
use highwater::wire::{LeaderEpoch, Offset};
use serde_json::{Value, json};

use crate::golden::{int, run_file, run_steps};

#[test]
fn golden_leader_epoch_cache() {
    run_file(include_str!("../golden/leader_epoch_cache.json"), |case| {
        let mut cache = EpochCache::default();
        run_steps(case, |step| apply(&mut cache, step))
    });
}

fn entry(entry: &EpochEntry) -> Value {
    json!({"epoch": entry.epoch.0, "start_offset": entry.start.0})
}

fn apply(cache: &mut EpochCache, step: &Value) -> Result<Value, String> {
    let number = |name: &str| int(step, name);
    let epoch = |name: &str| Ok::<_, String>(LeaderEpoch(number(name)? as i32));
    let or_null = |epoch: Option<LeaderEpoch>| json!(epoch.map(|epoch| epoch.0));
    match step["op"].as_str().unwrap_or("") {
        "assign" => {
            cache.assign(epoch("epoch")?, Offset(number("start_offset")?));
        }
        "truncate_from_end" => cache.truncate_from_end(Offset(number("offset")?)),
        "truncate_from_start" => cache.truncate_from_start(Offset(number("offset")?)),
        "clear" => cache.clear(),
        "latest_epoch" => return Ok(or_null(cache.latest().map(|entry| entry.epoch))),
        "previous_epoch" => return Ok(or_null(cache.previous())),
        "previous_epoch_of" => return Ok(or_null(cache.previous_of(epoch("epoch")?))),
        "next_epoch" => return Ok(or_null(cache.next_of(epoch("epoch")?))),
        "epoch_for_offset" => return Ok(or_null(cache.epoch_at(Offset(number("offset")?)))),
        "entries" => return Ok(cache.entries().iter().map(entry).collect()),
        "earliest_entry" => return Ok(cache.earliest().as_ref().map_or(Value::Null, entry)),
        "latest_entry" => return Ok(cache.latest().as_ref().map_or(Value::Null, entry)),
        "epoch_entry" | "previous_entry" => {
            let asked = epoch("epoch")?;
            let wanted = if step["op"] == "epoch_entry" { Some(asked) } else { cache.previous_of(asked) };
            let found = cache.entries().iter().find(|known| Some(known.epoch) == wanted);
            return Ok(found.map_or(Value::Null, entry));
        }
        "end_offset_for" => {
            let end = cache.end_offset_for(epoch("requested_epoch")?, Offset(number("log_end_offset")?));
            let (epoch, offset) = end.map_or((-1, -1), |end| (end.epoch.0, end.end.0));
            return Ok(json!({"epoch": epoch, "offset": offset}));
        }
        other => return Err(format!("unknown op {other}")),
    }
    Ok(Value::Null)
}
