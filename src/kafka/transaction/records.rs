//! The records of `__transaction_state`, key and value as Kafka's schemas say (TransactionLog,
//! TransactionLogKey version 0, TransactionLogValue versions 0 and 1).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::flexible::{length, put_length, put_tagged_fields, put_text, tagged_fields, text};
use crate::kafka::coordinator::plain::{put_string, string};
use crate::kafka::coordinator::record::read_version;
use crate::kafka::transaction::metadata::{
    NO_PRODUCER_EPOCH, NO_PRODUCER_ID, TransactionMetadata, TransactionState, TransactionVersion,
};
use crate::sorted::SortedSet;
use crate::wire::{ProducerId, TopicName, TopicPartition, TransactionalId};

const PREVIOUS_PRODUCER_ID: u32 = 0;
const NEXT_PRODUCER_ID: u32 = 1;
const CLIENT_TRANSACTION_VERSION: u32 = 2;

fn encode_key(id: &TransactionalId) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(0);
    put_string(&mut out, &id.0);
    out.freeze()
}

/// Version 1, the flexible one, which `transaction.version` 1 and later write.
fn encode_value(value: &TransactionMetadata) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(1);
    out.put_i64(value.producer_id.0);
    out.put_i16(value.producer_epoch);
    out.put_i32(value.timeout_ms);
    out.put_i8(value.state.id());
    put_partitions(&mut out, value);
    out.put_i64(value.last_update_ms);
    out.put_i64(value.start_ms);
    let id =
        |tag: u32, id: ProducerId| (id != NO_PRODUCER_ID).then(|| (tag, Bytes::copy_from_slice(&id.0.to_be_bytes())));
    let version = value.client_version.0;
    let tags = [
        id(PREVIOUS_PRODUCER_ID, value.prev_producer_id),
        id(NEXT_PRODUCER_ID, value.next_producer_id),
        (version != 0).then(|| (CLIENT_TRANSACTION_VERSION, Bytes::copy_from_slice(&version.to_be_bytes()))),
    ];
    put_tagged_fields(&mut out, &tags.into_iter().flatten().collect::<Vec<_>>());
    out.freeze()
}

/// By topic; none at all, not even an empty list, for an id without a transaction.
fn put_partitions(out: &mut BytesMut, value: &TransactionMetadata) {
    if value.state == TransactionState::Empty {
        return out.put_u8(0);
    }
    let partitions: Vec<&TopicPartition> = value.partitions.iter().collect();
    let topics: Vec<&[&TopicPartition]> = partitions.chunk_by(|a, b| a.topic == b.topic).collect();
    put_length(out, topics.len());
    for topic in topics {
        put_text(out, &topic[0].topic.0);
        put_length(out, topic.len());
        topic.iter().for_each(|partition| out.put_i32(partition.partition));
        out.put_u8(0);
    }
}

/// Key and value; a value of `None` is a tombstone.
pub fn encode(id: &TransactionalId, value: Option<&TransactionMetadata>) -> (Bytes, Option<Bytes>) {
    (encode_key(id), value.map(encode_value))
}

/// `None` for what is no record of ours.
pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Option<(TransactionalId, Option<TransactionMetadata>)> {
    // Version 0 is what clusters of transaction.version 0 wrote; this one never had that.
    Some((decode_key(key)?, read_version(value, 1, decode_value)?))
}

fn decode_key(key: &Bytes) -> Option<TransactionalId> {
    let mut key = key.clone();
    if key.try_get_i16().ok()? != 0 {
        return None;
    }
    string(&mut key).map(TransactionalId)
}

fn decode_value(value: &mut Bytes) -> Option<TransactionMetadata> {
    let producer_id = ProducerId(value.try_get_i64().ok()?);
    let producer_epoch = value.try_get_i16().ok()?;
    let timeout_ms = value.try_get_i32().ok()?;
    let state = TransactionState::from_id(value.try_get_i8().ok()?)?;
    let partitions = partitions(value)?;
    let last_update_ms = value.try_get_i64().ok()?;
    let start_ms = value.try_get_i64().ok()?;
    let mut read = TransactionMetadata {
        producer_id,
        prev_producer_id: NO_PRODUCER_ID,
        next_producer_id: NO_PRODUCER_ID,
        producer_epoch,
        last_producer_epoch: NO_PRODUCER_EPOCH,
        timeout_ms,
        state,
        partitions,
        start_ms,
        last_update_ms,
        client_version: TransactionVersion::V0,
    };
    for (tag, mut bytes) in tagged_fields(value)? {
        match tag {
            PREVIOUS_PRODUCER_ID => read.prev_producer_id = ProducerId(bytes.try_get_i64().ok()?),
            NEXT_PRODUCER_ID => read.next_producer_id = ProducerId(bytes.try_get_i64().ok()?),
            CLIENT_TRANSACTION_VERSION => read.client_version = TransactionVersion(bytes.try_get_i16().ok()?),
            _ => {}
        }
    }
    Some(read)
}

fn partitions(value: &mut Bytes) -> Option<SortedSet<TopicPartition>> {
    let mut partitions = SortedSet::new();
    for _ in 0..length(value)?.unwrap_or(0) {
        let topic = TopicName(text(value)?);
        for _ in 0..length(value)?.unwrap_or(0) {
            let partition = value.try_get_i32().ok()?;
            partitions.insert(TopicPartition { topic: topic.clone(), partition });
        }
        tagged_fields(value)?;
    }
    Some(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::str_bytes;

    fn metadata() -> TransactionMetadata {
        TransactionMetadata {
            state: TransactionState::PrepareCommit,
            producer_epoch: 3,
            prev_producer_id: ProducerId(7),
            partitions: SortedSet::from([
                TopicPartition::named("a", 0),
                TopicPartition::named("a", 2),
                TopicPartition::named("b", 1),
            ]),
            start_ms: 5,
            client_version: TransactionVersion::V2,
            ..TransactionMetadata::new(ProducerId(7), 60_000, 6)
        }
    }

    #[test]
    fn a_transaction_is_written_as_kafka_writes_it() {
        let id = TransactionalId(str_bytes("t"));
        assert_eq!(encode_key(&id)[..], [0, 0, 0, 1, b't']);
        assert_eq!(decode_key(&encode_key(&id)), Some(id));
        let mut expected = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 3, 0, 0, 0xea, 0x60, 2];
        expected.extend([3, 2, b'a', 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 2, b'b', 2, 0, 0, 0, 1, 0]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 5]);
        expected.extend([2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 2, 2, 0, 2]);
        assert_eq!(encode_value(&metadata())[..], expected);
    }

    #[test]
    fn a_transaction_reads_back_as_it_was_written_but_for_the_last_epoch() {
        let overflown = TransactionMetadata { next_producer_id: ProducerId(900), ..metadata() };
        for written in [metadata(), overflown, TransactionMetadata::new(ProducerId(1), 1, 2)] {
            let seen = TransactionMetadata { last_producer_epoch: 2, ..written.clone() };
            let id = TransactionalId(str_bytes("t"));
            let (key, value) = encode(&id, Some(&seen));
            assert_eq!(decode(&key, value.as_ref()), Some((id, Some(written))));
        }
    }

    #[test]
    fn a_torn_record_is_no_record() {
        let id = TransactionalId(str_bytes("t"));
        let (key, value) = (encode_key(&id), encode_value(&metadata()));
        for end in 0..value.len() {
            assert_eq!(decode(&key, Some(&value.slice(..end))), None, "{end}");
        }
        assert_eq!(decode(&key, None), Some((id, None)));
        assert_eq!(decode_key(&Bytes::from_static(&[0, 1, 0, 0])), None);
        assert_eq!(decode_key(&Bytes::from_static(&[0, 0, 0, 9, b't'])), None);
    }
}
