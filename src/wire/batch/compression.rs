//! Compressed records, in the very formats that Kafka's clients write (CompressionType; GzipCompression,
//! SnappyCompression, Lz4Compression, ZstdCompression): gzip, the framing of xerial's snappy, LZ4 frames,
//! zstd frames. Equal records give equal bytes on every machine.

use std::fmt;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::CompressionLevel;
use xxhash_rust::xxh32::xxh32;

/// How the records of a batch are compressed; the numbers are those of the batch's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// zlib's default effort (`compression.gzip.level` is -1 by default).
const GZIP_LEVEL: u8 = 6;
/// RFC 1952: the magic, deflate, no flags, no time, no extra flags, an unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// SnappyCodec's magic, its version and the oldest version that can read it.
const SNAPPY_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// SnappyOutputStream's default block size.
const SNAPPY_BLOCK: usize = 32 << 10;
const LZ4_MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
/// Version 1, blocks that stand by themselves, no checksums, of at most 64 KiB (Lz4BlockOutputStream).
const LZ4_DESCRIPTOR: [u8; 2] = [0x60, 0x40];
/// Smaller than the frame allows: larger blocks would come out differently on machines of 32 bits.
const LZ4_BLOCK: usize = 32 << 10;
const LZ4_LARGEST_BLOCK: usize = 64 << 10;
/// Marks a block that stands there as it is, for compression would make it larger.
const LZ4_STORED: u32 = 1 << 31;

impl Compression {
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// By its number in the attributes of a batch.
    pub fn from_id(id: i16) -> Option<Compression> {
        Compression::ALL.into_iter().find(|compression| compression.id() == id)
    }

    /// By its name in `compression.type`.
    pub fn from_name(name: &str) -> Option<Compression> {
        Compression::ALL.into_iter().find(|compression| compression.to_string() == name)
    }

    pub fn id(self) -> i16 {
        self as i16
    }

    pub fn compress(self, plain: &[u8]) -> Vec<u8> {
        match self {
            Compression::None => plain.to_vec(),
            Compression::Gzip => gzip(plain),
            Compression::Snappy => snappy(plain),
            Compression::Lz4 => lz4(plain),
            Compression::Zstd => ruzstd::encoding::compress_to_vec(plain, CompressionLevel::Fastest),
        }
    }

    /// `None` when the bytes are not of this format.
    pub fn decompress(self, packed: &[u8]) -> Option<Vec<u8>> {
        match self {
            Compression::None => Some(packed.to_vec()),
            Compression::Gzip => gunzip(packed),
            Compression::Snappy => unsnappy(packed),
            Compression::Lz4 => unlz4(packed),
            Compression::Zstd => unzstd(packed),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        })
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packed = GZIP_HEADER.to_vec();
    packed.extend(miniz_oxide::deflate::compress_to_vec(plain, GZIP_LEVEL));
    packed.extend(crc32(plain).to_le_bytes());
    packed.extend((plain.len() as u32).to_le_bytes());
    packed
}

fn gunzip(packed: &[u8]) -> Option<Vec<u8>> {
    let body = packed.strip_prefix(&GZIP_HEADER)?;
    let (deflated, trailer) = body.split_at_checked(body.len().checked_sub(8)?)?;
    let plain = miniz_oxide::inflate::decompress_to_vec(deflated).ok()?;
    let expected = [crc32(&plain).to_le_bytes(), (plain.len() as u32).to_le_bytes()].concat();
    (trailer == expected).then_some(plain)
}

/// The checksum of gzip (CRC-32 of IEEE 802.3), bit by bit: batches are small.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn snappy(plain: &[u8]) -> Vec<u8> {
    let mut packed = SNAPPY_HEADER.to_vec();
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(SNAPPY_BLOCK) {
        let block = encoder.compress_vec(block).expect("a block is not larger than snappy allows");
        packed.extend((block.len() as u32).to_be_bytes());
        packed.extend(block);
    }
    packed
}

fn unsnappy(packed: &[u8]) -> Option<Vec<u8>> {
    let mut rest = packed.strip_prefix(&SNAPPY_HEADER)?;
    let mut plain = Vec::new();
    let mut decoder = snap::raw::Decoder::new();
    while !rest.is_empty() {
        let block = take_block(&mut rest, u32::from_be_bytes)?.1;
        plain.extend(decoder.decompress_vec(block).ok()?);
    }
    Some(plain)
}

fn lz4(plain: &[u8]) -> Vec<u8> {
    let mut packed = LZ4_MAGIC.to_vec();
    packed.extend(LZ4_DESCRIPTOR);
    packed.push(lz4_header_checksum());
    for block in plain.chunks(LZ4_BLOCK) {
        let smaller = lz4_flex::block::compress(block);
        let (mark, bytes) = if smaller.len() < block.len() { (0, &smaller[..]) } else { (LZ4_STORED, block) };
        packed.extend((bytes.len() as u32 | mark).to_le_bytes());
        packed.extend(bytes);
    }
    packed.extend(0_u32.to_le_bytes());
    packed
}

fn unlz4(packed: &[u8]) -> Option<Vec<u8>> {
    let header = packed.strip_prefix(&LZ4_MAGIC)?.strip_prefix(&LZ4_DESCRIPTOR)?;
    let mut rest = header.strip_prefix(&[lz4_header_checksum()])?;
    let mut plain = Vec::new();
    loop {
        let (mark, block) = take_block(&mut rest, |size| u32::from_le_bytes(size) & !LZ4_STORED)?;
        if block.is_empty() {
            return rest.is_empty().then_some(plain);
        }
        if u32::from_le_bytes(mark) & LZ4_STORED != 0 {
            plain.extend(block);
        } else {
            plain.extend(lz4_flex::block::decompress(block, LZ4_LARGEST_BLOCK).ok()?);
        }
    }
}

fn lz4_header_checksum() -> u8 {
    (xxh32(&LZ4_DESCRIPTOR, 0) >> 8) as u8
}

fn unzstd(packed: &[u8]) -> Option<Vec<u8>> {
    let mut rest = packed;
    let mut decoder = FrameDecoder::new();
    decoder.reset(&mut rest).ok()?;
    decoder.decode_blocks(&mut rest, BlockDecodingStrategy::All).ok()?;
    decoder.collect()
}

/// A size of four bytes and that many bytes.
fn take_block<'a>(rest: &mut &'a [u8], size: impl Fn([u8; 4]) -> u32) -> Option<([u8; 4], &'a [u8])> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    let (block, tail) = tail.split_at_checked(usize::try_from(size(*head)).ok()?)?;
    *rest = tail;
    Some((*head, block))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Vec<u8>> {
        let mut noise = 1_u32;
        let mut random = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        };
        let text = b"created,paid,shipped;".repeat(40);
        vec![Vec::new(), b"a".to_vec(), text, vec![7; 100_000], (0..100_000).map(|_| random()).collect()]
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for compression in Compression::ALL {
            for plain in samples() {
                let packed = compression.compress(&plain);
                assert_eq!(compression.decompress(&packed).as_deref(), Some(&plain[..]), "{compression}");
            }
            assert_eq!(Compression::from_id(compression.id()), Some(compression));
            assert_eq!(Compression::from_name(&compression.to_string()), Some(compression));
        }
    }

    #[test]
    fn repetition_takes_less_room() {
        let plain = b"created,paid,shipped;".repeat(40);
        for compression in Compression::ALL.into_iter().skip(1) {
            let packed = compression.compress(&plain);
            assert!(packed.len() < plain.len() / 3, "{compression}: {} of {}", packed.len(), plain.len());
        }
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic() {
        for compression in Compression::ALL.into_iter().skip(1) {
            let packed = compression.compress(&b"created,paid,shipped;".repeat(40));
            assert_eq!(compression.decompress(&packed[..packed.len() / 2]), None, "{compression} cut short");
            assert_eq!(compression.decompress(b"nonsense"), None, "{compression}");
            for at in 0..packed.len() {
                let mut damaged = packed.clone();
                damaged[at] ^= 0xff;
                let _ = compression.decompress(&damaged);
            }
        }
    }

    #[test]
    fn the_formats_are_those_of_others() {
        // The same bytes as gzip, lz4 and Kafka's own clients begin with.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the check value of CRC-32");
        assert_eq!(Compression::Lz4.compress(b"")[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
        assert_eq!(Compression::Zstd.compress(b"a")[..4], 0xfd2f_b528_u32.to_le_bytes());
        assert_eq!(Compression::Snappy.compress(b"")[..8], *b"\x82SNAPPY\0");
    }
}
