//! Control records: written by coordinators and the quorum's leader, never shown to applications
//! (ControlRecordType, EndTransactionMarker).

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::ProducerId;
use crate::wire::batch::{Batch, BatchHeader, NO_SEQUENCE, NewRecord};

/// What a control record says: the second number of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ControlType {
    Abort,
    Commit,
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KRaftVersion,
    KRaftVoters,
}

/// The end of a transaction on one partition (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    pub commit: bool,
    pub coordinator_epoch: i32,
}

impl ControlType {
    const ALL: [ControlType; 7] = [
        ControlType::Abort,
        ControlType::Commit,
        ControlType::LeaderChange,
        ControlType::SnapshotHeader,
        ControlType::SnapshotFooter,
        ControlType::KRaftVersion,
        ControlType::KRaftVoters,
    ];

    /// The key of a control record: version 0 and the type.
    pub fn key(self) -> Bytes {
        let number = ControlType::ALL.iter().position(|&t| t == self).map_or(0, |at| at as i16);
        let mut key = BytesMut::with_capacity(4);
        key.put_i16(0);
        key.put_i16(number);
        key.freeze()
    }

    /// Reads a key of any version; `None` for a type of a later Kafka.
    pub fn from_key(key: &[u8]) -> Option<ControlType> {
        let number = i16::from_be_bytes([*key.get(2)?, *key.get(3)?]);
        ControlType::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// A control record with an already encoded value.
    pub fn record(self, timestamp: i64, value: Bytes) -> NewRecord {
        NewRecord { timestamp, key: Some(self.key()), value: Some(value), headers: Vec::new() }
    }
}

impl EndTxnMarker {
    pub fn record(self, timestamp: i64) -> NewRecord {
        let mut value = BytesMut::with_capacity(6);
        value.put_i16(0);
        value.put_i32(self.coordinator_epoch);
        let control = if self.commit { ControlType::Commit } else { ControlType::Abort };
        control.record(timestamp, value.freeze())
    }

    /// The batch that a transaction coordinator has written to every partition of the transaction.
    pub fn batch(self, producer_id: ProducerId, producer_epoch: i16, timestamp: i64) -> Batch {
        let header =
            BatchHeader { producer_id, producer_epoch, base_sequence: NO_SEQUENCE, transactional: true, control: true };
        Batch::build(&header, &[self.record(timestamp)])
    }
}

impl Batch {
    /// What a control batch says; `None` for data and for types of a later Kafka.
    pub fn control_type(&self) -> Option<ControlType> {
        if !self.is_control() {
            return None;
        }
        let record = self.record_iter().ok()?.next()?.ok()?;
        ControlType::from_key(&record.key?)
    }

    /// The marker that a control batch holds, if it ends a transaction.
    pub fn end_txn_marker(&self) -> Option<EndTxnMarker> {
        if !self.is_control() {
            return None;
        }
        let record = self.record_iter().ok()?.next()?.ok()?;
        let commit = match ControlType::from_key(&record.key?)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            _ => return None,
        };
        let value = record.value?;
        let epoch = value.get(2..6)?;
        Some(EndTxnMarker { commit, coordinator_epoch: i32::from_be_bytes(epoch.try_into().ok()?) })
    }
}
