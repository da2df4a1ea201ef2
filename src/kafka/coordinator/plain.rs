//! The fields of records whose schemas are not flexible: all keys, and the values of committed offsets
//! and classic groups. Lengths are of 16 or 32 bits.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::wire::StrBytes;

pub fn put_string(out: &mut BytesMut, text: &StrBytes) {
    // Kafka's strings carry a 16-bit length; ids, names of topics and metadata stay far below it.
    let text = &text.as_bytes()[..text.len().min(i16::MAX as usize)];
    out.put_i16(text.len() as i16);
    out.put_slice(text);
}

pub fn string(bytes: &mut Bytes) -> Option<StrBytes> {
    nullable(bytes)?
}

pub fn put_nullable(out: &mut BytesMut, text: Option<&StrBytes>) {
    match text {
        Some(text) => put_string(out, text),
        None => out.put_i16(-1),
    }
}

/// The inner `None`: null.
pub fn nullable(bytes: &mut Bytes) -> Option<Option<StrBytes>> {
    let length = bytes.try_get_i16().ok()?;
    if length < 0 {
        return Some(None);
    }
    StrBytes::from_utf8(take(bytes, length as usize)?).ok().map(Some)
}

pub fn put_bytes(out: &mut BytesMut, bytes: &Bytes) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}

pub fn byte_array(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_i32().ok()?).ok()?;
    take(bytes, length)
}

/// The next bytes, if so many are left.
pub fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (bytes.len() >= length).then(|| bytes.split_to(length))
}
