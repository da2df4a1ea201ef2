//! The records of `__share_group_state`, key and value as Kafka's schemas say (ShareSnapshotKey,
//! ShareSnapshotValue, ShareUpdateKey, ShareUpdateValue; all of version 0).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::flexible::{length, put_length, tagged_fields};
use crate::kafka::coordinator::plain::{put_string, string};
use crate::kafka::coordinator::record::read_version;
use crate::kafka::share::{RecordState, SharePartitionKey, StateBatch};
use crate::wire::{GroupId, LeaderEpoch, Offset, Uuid};

const SNAPSHOT: i16 = 0;
const UPDATE: i16 = 1;

/// Everything that is known of a share partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Which snapshot of the share partition it is.
    pub epoch: i32,
    pub state_epoch: i32,
    pub leader_epoch: LeaderEpoch,
    /// -1: the group has not read from the partition yet.
    pub start: Offset,
    /// When the state was made, and when this snapshot was taken, in milliseconds.
    pub created: i64,
    pub written: i64,
    pub batches: Vec<StateBatch>,
}

/// What has changed since.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    pub snapshot_epoch: i32,
    pub leader_epoch: LeaderEpoch,
    /// -1: as before.
    pub start: Offset,
    pub batches: Vec<StateBatch>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ShareRecord {
    /// `None`: nothing is known any more.
    Snapshot(SharePartitionKey, Option<Snapshot>),
    Update(SharePartitionKey, Update),
}

impl ShareRecord {
    /// Key and value; a value of `None` is a tombstone.
    pub fn encode(&self) -> (Bytes, Option<Bytes>) {
        match self {
            ShareRecord::Snapshot(key, value) => (encode_key(SNAPSHOT, key), value.as_ref().map(encode_snapshot)),
            ShareRecord::Update(key, value) => (encode_key(UPDATE, key), Some(encode_update(value))),
        }
    }

    /// `None` for what is no record of ours.
    pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<ShareRecord> {
        let mut bytes = key.clone();
        let kind = bytes.try_get_i16().ok()?;
        let group = GroupId(string(&mut bytes)?);
        let topic = Uuid::from_u128(bytes.try_get_u128().ok()?);
        let key = SharePartitionKey { group, topic, partition: bytes.try_get_i32().ok()? };
        match kind {
            SNAPSHOT => Some(ShareRecord::Snapshot(key, read_version(value, 0, snapshot)?)),
            UPDATE => Some(ShareRecord::Update(key, read_version(value, 0, update)??)),
            _ => None,
        }
    }
}

fn encode_key(kind: i16, key: &SharePartitionKey) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(kind);
    put_string(&mut out, &key.group.0);
    out.put_u128(key.topic.as_u128());
    out.put_i32(key.partition);
    out.freeze()
}

fn encode_snapshot(value: &Snapshot) -> Bytes {
    let Snapshot { epoch, state_epoch, leader_epoch, start, created, written, batches } = value;
    let mut out = BytesMut::new();
    out.put_i16(0);
    out.put_i32(*epoch);
    out.put_i32(*state_epoch);
    out.put_i32(leader_epoch.0);
    out.put_i64(start.0);
    out.put_i64(*created);
    out.put_i64(*written);
    put_batches(&mut out, batches);
    out.freeze()
}

fn snapshot(value: &mut Bytes) -> Option<Snapshot> {
    Some(Snapshot {
        epoch: value.try_get_i32().ok()?,
        state_epoch: value.try_get_i32().ok()?,
        leader_epoch: LeaderEpoch(value.try_get_i32().ok()?),
        start: Offset(value.try_get_i64().ok()?),
        created: value.try_get_i64().ok()?,
        written: value.try_get_i64().ok()?,
        batches: batches(value)?,
    })
}

fn encode_update(value: &Update) -> Bytes {
    let Update { snapshot_epoch, leader_epoch, start, batches } = value;
    let mut out = BytesMut::new();
    out.put_i16(0);
    out.put_i32(*snapshot_epoch);
    out.put_i32(leader_epoch.0);
    out.put_i64(start.0);
    put_batches(&mut out, batches);
    out.freeze()
}

fn update(value: &mut Bytes) -> Option<Update> {
    Some(Update {
        snapshot_epoch: value.try_get_i32().ok()?,
        leader_epoch: LeaderEpoch(value.try_get_i32().ok()?),
        start: Offset(value.try_get_i64().ok()?),
        batches: batches(value)?,
    })
}

/// The last field, and the tagged ones behind it: none, for the delivery complete count is not known.
fn put_batches(out: &mut BytesMut, batches: &[StateBatch]) {
    put_length(out, batches.len());
    for StateBatch { first, last, delivery_count, state } in batches {
        out.put_i64(first.0);
        out.put_i64(last.0);
        out.put_i8(state.id());
        out.put_i16(*delivery_count);
        out.put_u8(0);
    }
    out.put_u8(0);
}

fn batches(value: &mut Bytes) -> Option<Vec<StateBatch>> {
    let mut batches = Vec::new();
    for _ in 0..length(value)?.unwrap_or(0) {
        let (first, last) = (Offset(value.try_get_i64().ok()?), Offset(value.try_get_i64().ok()?));
        let state = RecordState::from_id(value.try_get_i8().ok()?)?;
        let delivery_count = value.try_get_i16().ok()?;
        batches.push(StateBatch { first, last, delivery_count, state });
        tagged_fields(value)?;
    }
    tagged_fields(value).map(|_| batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::str_bytes;

    fn records() -> [ShareRecord; 3] {
        let key = SharePartitionKey { group: GroupId(str_bytes("g")), topic: Uuid::from_u128(7), partition: 2 };
        let batches =
            vec![StateBatch { first: Offset(5), last: Offset(6), delivery_count: 1, state: RecordState::Acknowledged }];
        let snapshot = Snapshot {
            epoch: 1,
            state_epoch: 2,
            leader_epoch: LeaderEpoch(3),
            start: Offset(4),
            created: 8,
            written: 9,
            batches: batches.clone(),
        };
        let update = Update { snapshot_epoch: 1, leader_epoch: LeaderEpoch(3), start: Offset(-1), batches };
        [
            ShareRecord::Snapshot(key.clone(), Some(snapshot)),
            ShareRecord::Snapshot(key.clone(), None),
            ShareRecord::Update(key, update),
        ]
    }

    #[test]
    fn an_update_is_written_as_kafka_writes_it() {
        let (key, value) = records()[2].encode();
        let topic = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(key[..], [&[0, 1, 0, 1, b'g'][..], &topic, &[0, 0, 0, 2]].concat());
        let mut expected = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 3];
        expected.extend([0xff; 8]);
        expected.extend([2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 2, 0, 1, 0, 0]);
        assert_eq!(value.expect("an update has a value")[..], expected);
    }

    #[test]
    fn records_read_back_as_they_were_written_and_a_torn_one_is_none() {
        for record in records() {
            let (key, value) = record.encode();
            assert_eq!(ShareRecord::decode(&key, value.as_ref()), Some(record));
            for end in 0..value.as_ref().map_or(0, Bytes::len) {
                let torn = value.as_ref().map(|value| value.slice(..end));
                assert_eq!(ShareRecord::decode(&key, torn.as_ref()), None, "{end}");
            }
        }
    }
}
