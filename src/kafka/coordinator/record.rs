//! A record of a coordinator's topic, read and written (CoordinatorRecordSerde): a key says by its
//! version which kind of record it is, and a value begins with the version of its schema.

use bytes::{Buf, Bytes};

use crate::wire::batch::NewRecord;

/// Reads the value of a record. The outer `None`: it does not read; the inner one: it is a tombstone.
pub fn read<T>(value: Option<&Bytes>, decode: impl FnOnce(&mut Bytes) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => decode(&mut value.clone()).map(Some),
    }
}

/// As `read`, for a value that is written in this one version.
pub fn read_version<T>(
    value: Option<&Bytes>,
    version: i16,
    decode: impl FnOnce(&mut Bytes) -> Option<T>,
) -> Option<Option<T>> {
    read(value, |bytes| if bytes.try_get_i16().ok()? == version { decode(bytes) } else { None })
}

/// A record as it is appended; without a value it is a tombstone.
pub fn new_record(timestamp: i64, (key, value): (Bytes, Option<Bytes>)) -> NewRecord {
    NewRecord { timestamp, key: Some(key), value, headers: Vec::new() }
}
