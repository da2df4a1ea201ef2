//! `producer_state.json`: idempotence and transactions on one partition (ProducerStateManagerTest,
//! UnifiedLogTest).

use highwater::kafka::log::Origin;
use highwater::kafka::log::producer_state::{ProducerBatch, ProducerState};
use highwater::time::{Duration, Instant};
use highwater::wire::batch::EndTxnMarker;
use highwater::wire::{Offset, ProducerId};
use serde_json::{Value, json};

use crate::golden::{flag, int, int_or, run_file, run_steps};
use crate::log_cases::{producer_entry, result, run_log_case};

#[test]
fn golden_producer_state() {
    run_file(include_str!("../golden/producer_state.json"), |case| match case["kind"].as_str() {
        Some("log") => run_log_case(case),
        Some("producer_state_manager") => {
            let mut manager = Manager {
                state: ProducerState::new(Duration::from_millis(86_400_000)),
                now: Instant::from_millis(1_000_000),
            };
            run_steps(case, |step| manager.apply(step))
        }
        other => Err(format!("unknown kind {other:?}")),
    });
}

/// One partition's producers and the clock.
struct Manager {
    state: ProducerState,
    now: Instant,
}

impl Manager {
    fn apply(&mut self, step: &Value) -> Result<Value, String> {
        let number = |name: &str| int(step, name);
        let producer_id = || number("pid").map(ProducerId);
        match step["op"].as_str().unwrap_or("") {
            "append" => return self.append(step),
            "end_txn_marker" => return self.marker(step),
            "entry" => return Ok(self.state.entry(producer_id()?).map_or(Value::Null, producer_entry)),
            "first_unstable_offset" => return Ok(json!(self.state.first_unstable().map(|first| first.0))),
            "create_verification" => {
                let (sequence, epoch) = (number("seq")? as i32, number("epoch")? as i16);
                let bump = flag(step, "supports_epoch_bump");
                self.state.start_verification(producer_id()?, sequence, epoch, bump, self.now);
            }
            "high_watermark" => self.state.on_high_watermark(Offset(number("offset")?)),
            "sleep" => self.now += Duration::from_millis(number("ms")?),
            "expire" => drop(self.state.remove_expired(self.now)),
            "snapshot" => self.state.take_snapshot(),
            "truncate_and_reload" => {
                let (start, end) = (Offset(number("log_start_offset")?), Offset(number("log_end_offset")?));
                let now = step["now_ms"].as_i64().map_or(self.now, Instant::from_millis);
                self.state.truncate_and_reload(start, end, now);
            }
            "truncate_fully_and_start_at" => self.state.truncate_fully(Offset(number("offset")?)),
            "log_start_offset_incremented" => self.state.on_log_start(Offset(number("offset")?)),
            other => return Err(format!("unknown op {other}")),
        }
        Ok(Value::Null)
    }

    fn append(&mut self, step: &Value) -> Result<Value, String> {
        let number = |name: &str| int(step, name);
        let batch = ProducerBatch {
            producer_id: ProducerId(number("pid")?),
            epoch: number("epoch")? as i16,
            first_sequence: number("first_seq")? as i32,
            last_sequence: number("last_seq")? as i32,
            first: Offset(number("first_offset")?),
            last: Offset(number("last_offset")?),
            timestamp: int_or(step, "timestamp", self.now.millis()),
            transactional: flag(step, "transactional"),
            marker: None,
        };
        let origin = match step["origin"].as_str() {
            Some("CLIENT") => Some(Origin::Client),
            Some("COORDINATOR") => Some(Origin::Coordinator),
            Some("REPLICATION") => None,
            other => return Err(format!("unknown origin {other:?}")),
        };
        Ok(self.take(&batch, origin, 0))
    }

    fn marker(&mut self, step: &Value) -> Result<Value, String> {
        let number = |name: &str| int(step, name);
        let offset = Offset(number("offset")?);
        let marker = EndTxnMarker {
            commit: step["type"].as_str() == Some("COMMIT"),
            coordinator_epoch: number("coordinator_epoch")? as i32,
        };
        let batch = ProducerBatch {
            producer_id: ProducerId(number("pid")?),
            epoch: number("epoch")? as i16,
            first_sequence: -1,
            last_sequence: -1,
            first: offset,
            last: offset,
            timestamp: int_or(step, "timestamp", self.now.millis()),
            transactional: true,
            marker: Some(marker),
        };
        Ok(self.take(&batch, Some(Origin::Coordinator), number("transaction_version")? as i16))
    }

    fn take(&mut self, batch: &ProducerBatch, origin: Option<Origin>, transaction_version: i16) -> Value {
        let checked = self.state.check(batch, origin, transaction_version);
        result(checked, |update| {
            if let Some(completed) = self.state.apply(update) {
                self.state.complete(&completed);
            }
            self.state.set_end(batch.last.next());
            json!({"ok": true})
        })
    }
}
