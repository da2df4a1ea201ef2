//! Long lists that only grow at their end: what is not young any more is written down small.
//!
//! A cluster that runs for days has millions of batches, and what stands around each of them weighs
//! more than the few bytes in which it differs from the one before. So the old elements are kept in
//! blocks, as the differences of each to the one before it, and come back to the bit when somebody
//! looks. Nothing is left out: a packed list prints, compares and counts like a plain one.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use imbl::Vector;

/// The elements of a block. To look at one, all before it in its block are unpacked.
const BLOCK: usize = 32;
/// So many of the youngest elements at least are not packed: they are the ones that are looked at.
const YOUNG: usize = 16;
/// Longer strings of bytes are shared instead of written down: they are worth their place.
const SHARED_FROM: usize = 512;

/// What can be written down as its difference to the element before.
pub trait Pack: Clone {
    /// What is known of the elements before, at both ends.
    type Past: Default;

    fn pack(&self, past: &mut Self::Past, into: &mut Packing);
    fn unpack(past: &mut Self::Past, from: &mut Unpacking<'_>) -> Self;
    /// By what a block is found: never falls from one element to the next where the list is searched.
    fn key(&self) -> i64;
}

/// Where elements are written down.
#[derive(Default)]
pub struct Packing {
    code: BytesMut,
    shared: Vec<Bytes>,
}

/// Where they are read again, in the same order.
pub struct Unpacking<'a> {
    code: &'a [u8],
    shared: std::slice::Iter<'a, Bytes>,
}

impl Packing {
    /// Small numbers of either sign take one byte.
    pub fn number(&mut self, number: i64) {
        let mut rest = ((number << 1) ^ (number >> 63)) as u64;
        while rest >= 0x80 {
            self.code.put_u8(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.code.put_u8(rest as u8);
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as i64);
        self.code.put_slice(bytes);
    }

    /// What a string of bytes has in another place than the one before: what begins and ends alike is counted only.
    pub fn changed(&mut self, bytes: &[u8], before: &[u8]) {
        let alike = |a: &mut dyn Iterator<Item = (&u8, &u8)>| a.take_while(|(a, b)| a == b).count();
        let prefix = alike(&mut bytes.iter().zip(before));
        let suffix = alike(&mut bytes[prefix..].iter().rev().zip(before[prefix..].iter().rev()));
        self.number(prefix as i64);
        self.number(suffix as i64);
        self.bytes(&bytes[prefix..bytes.len() - suffix]);
    }

    /// Holds on to long bytes; false when they are too short for that.
    pub fn share(&mut self, bytes: &Bytes) -> bool {
        let is_long = bytes.len() >= SHARED_FROM;
        if is_long {
            self.shared.push(bytes.clone());
        }
        is_long
    }

    /// How many bytes were written, without the shared ones.
    pub fn size(&self) -> usize {
        self.code.len()
    }

    /// Reads what was written.
    pub fn read<R>(&self, read: impl FnOnce(&mut Unpacking<'_>) -> R) -> R {
        read(&mut Unpacking { code: &self.code, shared: self.shared.iter() })
    }
}

impl<'a> Unpacking<'a> {
    pub fn number(&mut self) -> i64 {
        let (mut zigzag, mut shift) = (0_u64, 0);
        loop {
            let byte = self.code[0];
            self.code = &self.code[1..];
            zigzag |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
            }
        }
    }

    pub fn bytes(&mut self) -> &'a [u8] {
        let length = self.number() as usize;
        let (bytes, rest) = self.code.split_at(length);
        self.code = rest;
        bytes
    }

    pub fn changed(&mut self, before: &[u8], into: &mut Vec<u8>) {
        let (prefix, suffix) = (self.number() as usize, self.number() as usize);
        into.extend_from_slice(&before[..prefix]);
        into.extend_from_slice(self.bytes());
        into.extend_from_slice(&before[before.len() - suffix..]);
    }

    pub fn shared(&mut self) -> Bytes {
        self.shared.next().expect("as many are read as were shared").clone()
    }
}

/// `BLOCK` elements, written down.
struct Block {
    /// The key of the first.
    key: i64,
    code: Bytes,
    shared: Vec<Bytes>,
}

impl Block {
    fn of<T: Pack>(elements: &[T]) -> Block {
        let (mut past, mut packing) = (T::Past::default(), Packing::default());
        for element in elements {
            element.pack(&mut past, &mut packing);
        }
        let key = elements.first().map_or(0, T::key);
        Block { key, code: Bytes::copy_from_slice(&packing.code), shared: packing.shared }
    }

    fn open<T: Pack>(&self) -> Vec<T> {
        let mut past = T::Past::default();
        let mut from = Unpacking { code: &self.code, shared: self.shared.iter() };
        (0..BLOCK).map(|_| T::unpack(&mut past, &mut from)).collect()
    }
}

/// A list with its old elements packed. Clones share what they have in common.
#[derive(Clone)]
pub struct Packed<T: Pack> {
    blocks: Vector<Arc<Block>>,
    /// How many of the first block's elements have been taken from the front.
    gone: usize,
    young: Vec<T>,
}

impl<T: Pack> Default for Packed<T> {
    fn default() -> Packed<T> {
        Packed { blocks: Vector::new(), gone: 0, young: Vec::new() }
    }
}

impl<T: Pack> Packed<T> {
    pub fn len(&self) -> usize {
        self.packed() + self.young.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many elements are packed.
    fn packed(&self) -> usize {
        self.blocks.len() * BLOCK - self.gone
    }

    pub fn get(&self, index: usize) -> Option<T> {
        match index.checked_sub(self.packed()) {
            Some(index) => self.young.get(index).cloned(),
            None => self.iter_from(index).next(),
        }
    }

    pub fn first(&self) -> Option<T> {
        self.get(0)
    }

    /// The youngest element is never packed.
    pub fn last(&self) -> Option<&T> {
        self.young.last()
    }

    pub fn push_back(&mut self, element: T) {
        self.young.push(element);
        if self.young.len() >= BLOCK + YOUNG {
            self.blocks.push_back(Arc::new(Block::of(&self.young[..BLOCK])));
            self.young.drain(..BLOCK);
        }
    }

    /// Keeps the first `len` elements.
    pub fn truncate(&mut self, len: usize) {
        while len <= self.packed() && self.unpack_last() {}
        self.young.truncate(len.saturating_sub(self.packed()));
    }

    /// Takes elements from the front as long as they are so.
    pub fn drop_while(&mut self, mut is_so: impl FnMut(&T) -> bool) {
        while let Some(block) = self.blocks.front() {
            let gone = block.open::<T>().iter().skip(self.gone).take_while(|element| is_so(element)).count();
            self.gone += gone;
            if self.gone < BLOCK {
                return;
            }
            self.blocks.pop_front();
            self.gone = 0;
        }
        let gone = self.young.iter().take_while(|element| is_so(element)).count();
        self.young.drain(..gone);
    }

    pub fn iter(&self) -> Iter<'_, T> {
        self.iter_from(0)
    }

    /// The elements from this one on.
    pub fn iter_from(&self, index: usize) -> Iter<'_, T> {
        Iter { list: self, place: index + self.gone, opened: Vec::new().into_iter() }
    }

    /// The elements from the youngest to the oldest.
    pub fn backwards(&self) -> Backwards<'_, T> {
        Backwards { list: self, left: self.gone + self.len(), opened: Vec::new() }
    }

    /// The number of the first element for which `before` does not hold, in a list where it holds for
    /// those in front only. An element with a greater key than `key` is never before.
    pub fn partition_point(&self, key: i64, before: impl Fn(&T) -> bool) -> usize {
        if self.young.first().is_some_and(&before) || self.blocks.is_empty() {
            return self.packed() + self.young.partition_point(before);
        }
        // The first element of each later block has a greater key, so the place is in this one or right behind it.
        let later = |block: &Arc<Block>| if block.key <= key { Ordering::Less } else { Ordering::Greater };
        let number = self.blocks.binary_search_by(later).unwrap_or_else(|at| at).saturating_sub(1);
        let in_front = self.blocks[number].open::<T>().iter().take_while(|element| before(element)).count();
        (number * BLOCK + in_front).saturating_sub(self.gone)
    }

    /// Opens the last block; false when there is none.
    fn unpack_last(&mut self) -> bool {
        let Some(block) = self.blocks.pop_back() else { return false };
        let gone = if self.blocks.is_empty() { std::mem::take(&mut self.gone) } else { 0 };
        let mut opened = block.open::<T>();
        opened.drain(..gone);
        opened.append(&mut self.young);
        self.young = opened;
        true
    }
}

/// The elements in order, one block opened at a time. A place counts from the first block's first element.
pub struct Iter<'a, T: Pack> {
    list: &'a Packed<T>,
    place: usize,
    /// The elements of a block from `place` on.
    opened: std::vec::IntoIter<T>,
}

impl<T: Pack> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let list = self.list;
        if self.opened.len() == 0
            && let Some(block) = list.blocks.get(self.place / BLOCK)
        {
            let mut opened = block.open::<T>();
            opened.drain(..self.place % BLOCK);
            self.opened = opened.into_iter();
        }
        let young = || list.young.get(self.place - list.blocks.len() * BLOCK).cloned();
        let next = self.opened.next().or_else(young)?;
        self.place += 1;
        Some(next)
    }
}

/// The elements backwards.
pub struct Backwards<'a, T: Pack> {
    list: &'a Packed<T>,
    /// So many places lie in front of what was handed out.
    left: usize,
    /// The elements of a block up to there.
    opened: Vec<T>,
}

impl<T: Pack> Iterator for Backwards<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.left == self.list.gone {
            return None;
        }
        self.left -= 1;
        if let Some(young) = self.left.checked_sub(self.list.blocks.len() * BLOCK) {
            return self.list.young.get(young).cloned();
        }
        if self.opened.is_empty() {
            self.opened = self.list.blocks[self.left / BLOCK].open();
        }
        self.opened.pop()
    }
}

impl<T: Pack + PartialEq> PartialEq for Packed<T> {
    fn eq(&self, other: &Packed<T>) -> bool {
        let shared = |(a, b): (&Arc<Block>, &Arc<Block>)| Arc::ptr_eq(a, b);
        let all_shared = self.gone == other.gone
            && self.blocks.len() == other.blocks.len()
            && self.blocks.iter().zip(&other.blocks).all(shared);
        if all_shared { self.young == other.young } else { self.iter().eq(other.iter()) }
    }
}

impl<T: Pack + fmt::Debug> fmt::Debug for Packed<T> {
    /// As a plain list: a world's digest does not know what is packed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Pack> Extend<T> for Packed<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        for element in elements {
            self.push_back(element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    impl Pack for (i64, Bytes) {
        type Past = (i64, Bytes);

        fn pack(&self, past: &mut Self::Past, into: &mut Packing) {
            into.number(self.0 - past.0);
            let is_shared = into.share(&self.1);
            into.number(i64::from(is_shared));
            if !is_shared {
                into.changed(&self.1, &past.1);
                past.1 = self.1.clone();
            }
            past.0 = self.0;
        }

        fn unpack(past: &mut Self::Past, from: &mut Unpacking<'_>) -> Self {
            past.0 += from.number();
            if from.number() == 1 {
                return (past.0, from.shared());
            }
            let mut bytes = Vec::new();
            from.changed(&past.1, &mut bytes);
            past.1 = bytes.into();
            past.clone()
        }

        fn key(&self) -> i64 {
            self.0
        }
    }

    /// An element behind this one, as any could be.
    fn next(draw: &mut Rng, last: i64) -> (i64, Bytes) {
        let length = if draw.range(0, 40) == 0 { 600 } else { draw.range(0, 9) };
        let bytes: Vec<u8> = (0..length).map(|_| draw.range(0, 3) as u8).collect();
        (last + 1 + draw.range(0, 3), bytes.into())
    }

    #[test]
    fn a_packed_list_is_a_plain_list_whatever_is_done_to_it() {
        let mut draw = Rng::new(5);
        let (mut packed, mut plain) = (Packed::<(i64, Bytes)>::default(), Vec::new());
        for round in 0..400 {
            let before = packed.clone();
            let copy = plain.clone();
            match draw.range(0, 10) {
                0 => {
                    let len = draw.range(0, plain.len() as i64 + 1) as usize;
                    packed.truncate(len);
                    plain.truncate(len);
                }
                1 => {
                    let at = plain.first().map_or(0, |first: &(i64, Bytes)| first.0) + draw.range(0, 90);
                    packed.drop_while(|element| element.0 < at);
                    plain.retain(|element| element.0 >= at);
                }
                _ => {
                    for _ in 0..draw.range(0, 70) {
                        let element = next(&mut draw, plain.last().map_or(-1, |last| last.0));
                        packed.push_back(element.clone());
                        plain.push(element);
                    }
                }
            }
            assert_eq!(packed.len(), plain.len(), "round {round}");
            assert!(packed.iter().eq(plain.iter().cloned()), "round {round}");
            assert!(packed.backwards().eq(plain.iter().rev().cloned()), "round {round}");
            assert_eq!(packed.first().as_ref(), plain.first());
            assert_eq!(packed.last(), plain.last());
            assert_eq!(format!("{packed:?}"), format!("{plain:?}"));
            let at = draw.range(0, plain.len() as i64 + 2) as usize;
            assert_eq!(packed.get(at).as_ref(), plain.get(at));
            assert!(packed.iter_from(at).eq(plain.iter().skip(at).cloned()));
            let key = draw.range(0, plain.last().map_or(1, |last| last.0 + 3));
            let found = packed.partition_point(key, |element| element.0 < key);
            assert_eq!(found, plain.partition_point(|element| element.0 < key), "round {round}, {key}");
            assert!(before.iter().eq(copy), "a clone stays as it was");
            let mut again = Packed::default();
            again.extend(plain.iter().cloned());
            assert_eq!(packed, again, "how it came about makes no difference");
        }
        assert!(plain.len() > 6 * BLOCK, "it became long: {}", plain.len());
    }

    #[test]
    fn numbers_of_every_size_come_back() {
        let numbers = [0, 1, -1, 63, 64, -64, -65, 1 << 40, i64::MAX, i64::MIN];
        let mut packing = Packing::default();
        for number in numbers {
            packing.number(number);
        }
        packing.read(|from| assert!(numbers.iter().all(|number| from.number() == *number)));
    }
}
