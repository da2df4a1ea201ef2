//! `record_batch.json`: every byte of a batch (DefaultRecordBatchTest, ByteUtilsTest).

use bytes::{Bytes, BytesMut};
use highwater::wire::batch::{self, Batch, BatchBuilder, BatchHeader, ControlType, EndTxnMarker, NewRecord};
use highwater::wire::messages::LeaderChangeMessage;
use highwater::wire::messages::leader_change_message::Voter;
use highwater::wire::{LeaderEpoch, Offset, ProducerId, str_bytes};
use kafka_protocol::protocol::Encodable;
use serde_json::{Value, json};

use crate::golden::{flag, from_hex, int, int_or, run_file, to_hex};

#[test]
fn golden_record_batch() {
    run_file(include_str!("../golden/record_batch.json"), run_case);
}

fn run_case(case: &Value) -> Result<(), String> {
    let (input, expect) = (&case["input"], &case["expect"]);
    let bytes = || Bytes::from(from_hex(input["hex"].as_str().unwrap_or("")));
    let got = match case["kind"].as_str().unwrap_or("") {
        "encode" => describe(encode(input)?.bytes().clone(), true)?,
        "mutate" => describe(mutate(bytes(), &input["set"])?, true)?,
        "decode" => describe(bytes(), false)?,
        "varint" => varint(int(input, "value")? as i32)?,
        "varlong" => varlong(int(input, "value")?)?,
        "crc32c" => json!({"crc": crc32c::crc32c(&bytes())}),
        "increment_sequence" => {
            json!({"sequence": batch::increment_sequence(int(input, "sequence")? as i32, int(input, "by")? as i32)})
        }
        "decrement_sequence" => {
            json!({"sequence": batch::decrement_sequence(int(input, "sequence")? as i32, int(input, "by")? as i32)})
        }
        other => return Err(format!("unknown kind {other}")),
    };
    if got == *expect { Ok(()) } else { Err(format!("expected {expect}\n  got {got}")) }
}

fn varint(value: i32) -> Result<Value, String> {
    let mut buffer = BytesMut::new();
    batch::put_varint(&mut buffer, value);
    let back = batch::get_varint(&mut &buffer[..]);
    if back != Some(value) || batch::varint_size(value) != buffer.len() {
        return Err(format!("reads back as {back:?}"));
    }
    Ok(json!({"hex": to_hex(&buffer)}))
}

fn varlong(value: i64) -> Result<Value, String> {
    let mut buffer = BytesMut::new();
    batch::put_varlong(&mut buffer, value);
    let back = batch::get_varlong(&mut &buffer[..]);
    if back != Some(value) || batch::varlong_size(value) != buffer.len() {
        return Err(format!("reads back as {back:?}"));
    }
    Ok(json!({"hex": to_hex(&buffer)}))
}

fn encode(input: &Value) -> Result<Batch, String> {
    let header = BatchHeader {
        producer_id: ProducerId(int_or(input, "producer_id", -1)),
        producer_epoch: int_or(input, "producer_epoch", -1) as i16,
        base_sequence: int_or(input, "base_sequence", -1) as i32,
        transactional: flag(input, "transactional"),
        control: flag(input, "control"),
    };
    let base = int_or(input, "base_offset", 0);
    let mut builder = BatchBuilder::new(header, Offset(base));
    builder.leader_epoch = LeaderEpoch(int_or(input, "partition_leader_epoch", -1) as i32);
    builder.log_append_time = match input["timestamp_type"].as_str() {
        Some("LogAppendTime") => true,
        None | Some("CreateTime") => false,
        Some(other) => return Err(format!("unknown timestamp type {other}")),
    };
    builder.max_timestamp = input["log_append_time"].as_i64();
    if let Some(horizon) = input["delete_horizon_ms"].as_i64() {
        builder.set_delete_horizon(horizon);
    }
    for (offset, record) in records(input, base)? {
        builder.push(Offset(offset), &record);
    }
    if flag(input, "empty") {
        builder.max_timestamp = input["timestamp"].as_i64();
    }
    builder.last_offset =
        ["override_last_offset", "last_offset"].iter().find_map(|name| input[*name].as_i64()).map(Offset);
    Ok(builder.finish())
}

fn records(input: &Value, base: i64) -> Result<Vec<(i64, NewRecord)>, String> {
    if let Some(kind) = input["end_txn_marker"].as_str() {
        let commit = kind == "COMMIT";
        let marker = EndTxnMarker { commit, coordinator_epoch: int(input, "coordinator_epoch")? as i32 };
        return Ok(vec![(base, marker.record(int(input, "timestamp")?))]);
    }
    if let Some(change) = input.get("leader_change") {
        let record = ControlType::LeaderChange.record(int(input, "timestamp")?, leader_change(change)?);
        return Ok(vec![(base, record)]);
    }
    let listed = input["records"].as_array().map_or(&[][..], |records| &records[..]);
    listed.iter().map(|record| Ok((int(record, "offset")?, new_record(record)?))).collect()
}

fn leader_change(change: &Value) -> Result<Bytes, String> {
    let voters = |name: &str| -> Vec<Voter> {
        let ids = change[name].as_array().into_iter().flatten().filter_map(Value::as_i64);
        ids.map(|id| Voter::default().with_voter_id(id as i32)).collect()
    };
    let version = int(change, "version")? as i16;
    let message = LeaderChangeMessage::default()
        .with_version(version)
        .with_leader_id((int(change, "leader")? as i32).into())
        .with_voters(voters("voters"))
        .with_granting_voters(voters("granting"));
    let mut buffer = BytesMut::new();
    message.encode(&mut buffer, version).map_err(|e| e.to_string())?;
    Ok(buffer.freeze())
}

fn new_record(record: &Value) -> Result<NewRecord, String> {
    let bytes = |value: &Value| value.as_str().map(|hex| Bytes::from(from_hex(hex)));
    let headers = record["headers"].as_array().into_iter().flatten();
    Ok(NewRecord {
        timestamp: int(record, "timestamp")?,
        key: bytes(&record["key"]),
        value: bytes(&record["value"]),
        headers: headers.map(|pair| (str_bytes(pair[0].as_str().unwrap_or("")), bytes(&pair[1]))).collect(),
    })
}

fn mutate(bytes: Bytes, set: &Value) -> Result<Bytes, String> {
    let mut batch = Batch::split_first(&mut bytes.clone(), true).map_err(|e| e.to_string())?;
    for change in set.as_array().ok_or("no list set")? {
        for (name, value) in change.as_object().ok_or("no object in set")? {
            let number = value.as_i64().unwrap_or(-1);
            batch = match name.as_str() {
                "partition_leader_epoch" => {
                    let base = batch.base_offset;
                    batch.into_stamped(base, LeaderEpoch(number as i32))
                }
                "last_offset" => batch.into_last_offset(Offset(number)),
                "max_timestamp" => {
                    let log_append_time = change["timestamp_type"].as_str() == Some("LogAppendTime");
                    batch.into_timestamped(log_append_time, number)
                }
                "timestamp_type" => batch,
                other => return Err(format!("unknown change {other}")),
            };
        }
    }
    Ok(batch.bytes().clone())
}

fn describe(bytes: Bytes, with_hex: bool) -> Result<Value, String> {
    let hex = to_hex(&bytes);
    let Ok(batch) = Batch::split_first(&mut bytes.clone(), true) else {
        return Ok(json!({"valid": false}));
    };
    let text = |part: &Option<Bytes>| part.as_ref().map(|bytes| to_hex(bytes));
    let records: Vec<Value> = batch
        .records()
        .map_err(|e| e.to_string())?
        .iter()
        .map(|r| {
            let headers: Vec<Value> =
                r.headers.iter().map(|(name, value)| json!([name.as_str(), text(value)])).collect();
            json!({"offset": r.offset, "timestamp": r.timestamp, "sequence": r.sequence,
            "key": text(&r.key), "value": text(&r.value), "headers": headers})
        })
        .collect();
    let mut described = json!({
        "valid": true, "size": batch.size(), "crc": batch.crc, "base_offset": batch.base_offset.0,
        "last_offset": batch.last_offset.0, "next_offset": batch.next_offset().0,
        "partition_leader_epoch": batch.leader_epoch.0,
        "timestamp_type": if batch.is_log_append_time() { "LOG_APPEND_TIME" } else { "CREATE_TIME" },
        "base_timestamp": batch.base_timestamp, "max_timestamp": batch.max_timestamp,
        "producer_id": batch.producer_id.0, "producer_epoch": batch.producer_epoch,
        "base_sequence": batch.base_sequence, "last_sequence": batch.last_sequence(),
        "transactional": batch.is_transactional(), "control": batch.is_control(),
        "delete_horizon_ms": batch.delete_horizon(), "count": batch.record_count, "records": records,
    });
    if with_hex {
        described["hex"] = json!(hex);
    }
    Ok(described)
}
