//! The fields of flexible structures, which most values of records are (KIP-482): numbers are of
//! variable length, lengths are one more than they say, and every structure ends with its tagged fields.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::kafka::coordinator::plain::take;
use crate::wire::StrBytes;

/// ByteUtils.writeUnsignedVarint.
pub fn put_varint(out: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

pub fn varint(bytes: &mut Bytes) -> Option<u32> {
    let mut value = 0;
    for shift in (0..32).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Of what is not null.
pub fn put_length(out: &mut BytesMut, length: usize) {
    put_varint(out, length as u32 + 1);
}

/// The inner `None`: null.
pub fn length(bytes: &mut Bytes) -> Option<Option<usize>> {
    let length = varint(bytes)?;
    Some(length.checked_sub(1).map(|length| length as usize))
}

pub fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.put_slice(bytes);
}

pub fn byte_array(bytes: &mut Bytes) -> Option<Bytes> {
    let length = length(bytes)??;
    take(bytes, length)
}

pub fn put_text(out: &mut BytesMut, text: &StrBytes) {
    put_bytes(out, text.as_bytes());
}

pub fn text(bytes: &mut Bytes) -> Option<StrBytes> {
    nullable(bytes)?
}

pub fn put_nullable(out: &mut BytesMut, text: Option<&StrBytes>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.put_u8(0),
    }
}

pub fn nullable(bytes: &mut Bytes) -> Option<Option<StrBytes>> {
    let Some(length) = length(bytes)? else {
        return Some(None);
    };
    StrBytes::from_utf8(take(bytes, length)?).ok().map(Some)
}

/// Ends a structure: the fields that it has besides, by their tags.
pub fn put_tagged_fields(out: &mut BytesMut, fields: &[(u32, Bytes)]) {
    put_varint(out, fields.len() as u32);
    for (tag, field) in fields {
        put_varint(out, *tag);
        put_varint(out, field.len() as u32);
        out.put_slice(field);
    }
}

/// What a structure ends with; who does not know a tag passes its field over.
pub fn tagged_fields(bytes: &mut Bytes) -> Option<Vec<(u32, Bytes)>> {
    let mut fields = Vec::new();
    for _ in 0..varint(bytes)? {
        let tag = varint(bytes)?;
        let length = varint(bytes)? as usize;
        fields.push((tag, take(bytes, length)?));
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut BytesMut)) -> Bytes {
        let mut out = BytesMut::new();
        write(&mut out);
        out.freeze()
    }

    #[test]
    fn a_number_takes_as_many_bytes_as_it_needs() {
        for (number, expected) in [
            (0, &[0][..]),
            (0x7f, &[0x7f]),
            (0x80, &[0x80, 1]),
            (300, &[0xac, 2]),
            (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0xf]),
        ] {
            let mut bytes = written(|out| put_varint(out, number));
            assert_eq!(bytes[..], *expected);
            assert_eq!((varint(&mut bytes), bytes.len()), (Some(number), 0));
        }
        assert_eq!(varint(&mut Bytes::from_static(&[0x80])), None);
        assert_eq!(varint(&mut Bytes::from_static(&[0x80; 6])), None);
    }

    #[test]
    fn null_is_not_empty() {
        let empty = StrBytes::default();
        for (text, expected) in [(None, [0]), (Some(&empty), [1])] {
            let mut bytes = written(|out| put_nullable(out, text));
            assert_eq!(bytes[..], expected);
            assert_eq!(nullable(&mut bytes), Some(text.cloned()));
        }
        assert_eq!(text(&mut Bytes::from_static(&[0])), None);
    }

    #[test]
    fn tagged_fields_read_back_and_torn_ones_do_not() {
        let fields = vec![(0, Bytes::from_static(b"a")), (7, Bytes::new())];
        let bytes = written(|out| put_tagged_fields(out, &fields));
        assert_eq!(bytes[..], [2, 0, 1, b'a', 7, 0]);
        assert_eq!(tagged_fields(&mut bytes.clone()), Some(fields));
        for end in 0..bytes.len() {
            assert_eq!(tagged_fields(&mut bytes.slice(..end)), None, "{end}");
        }
    }
}
