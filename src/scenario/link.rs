//! A script as the fragment of a URL, and back: `#s=1.…`. The text is compressed (deflate), framed
//! with its checksum and written in the URL-safe alphabet of base64. The fragment never leaves the
//! browser, so a shared script is shown to nobody but its readers.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// What the fragment begins with: the key, and the version of what follows.
const KEY: &str = "s=";
const VERSION: &str = "1";
/// Browsers and chats carry links of this length: from the `#` on, whatever stands before it.
pub const LONGEST_LINK: usize = 32 * 1024;
/// What a link may unpack to.
pub const LONGEST_TEXT: usize = 256 * 1024;

/// Why a link holds no script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The fragment is not one of ours.
    Foreign,
    /// Made by a later Highwater.
    Version(String),
    /// Something is missing or has been changed on the way.
    Damaged,
    /// Longer than a link or a script may be.
    TooLong,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkError::Foreign => f.write_str("this link holds no scenario: expected `#s=1.…` at its end"),
            LinkError::Version(version) => {
                write!(f, "this link has format {version}, and this Highwater reads format {VERSION}")?;
                // An older Highwater made it, or this page has not been loaded since a later one was out.
                let later = version.parse::<u32>().ok() > VERSION.parse().ok();
                if later { f.write_str(": reload the page") } else { Ok(()) }
            }
            LinkError::Damaged => {
                f.write_str("this link is damaged: a part of it is missing or was changed. Copy it again, as a whole")
            }
            LinkError::TooLong => write!(
                f,
                "this is too long for a link (at most {} KiB of text and {} KiB of link): \
                 a scenario of such a length is passed on as a file",
                LONGEST_TEXT / 1024,
                LONGEST_LINK / 1024
            ),
        }
    }
}

impl std::error::Error for LinkError {}

/// The fragment for a script's text, from the `#` on.
pub fn encode(text: &str) -> Result<String, LinkError> {
    if text.len() > LONGEST_TEXT {
        return Err(LinkError::TooLong);
    }
    let mut framed = crc32c::crc32c(text.as_bytes()).to_be_bytes().to_vec();
    framed.extend(compress_to_vec(text.as_bytes(), 9));
    let link = format!("#{KEY}{VERSION}.{}", URL_SAFE_NO_PAD.encode(framed));
    if link.len() > LONGEST_LINK { Err(LinkError::TooLong) } else { Ok(link) }
}

/// The script's text from a fragment, with or without its `#`, or from a whole URL.
pub fn decode(link: &str) -> Result<String, LinkError> {
    let fragment = link.split_once('#').map_or(link, |(_, fragment)| fragment).trim();
    if fragment.len() >= LONGEST_LINK {
        return Err(LinkError::TooLong);
    }
    // Other keys may stand beside ours: `#s=…&t=12.3s`.
    let value = fragment.split('&').find_map(|part| part.strip_prefix(KEY)).ok_or(LinkError::Foreign)?;
    let (version, data) = value.split_once('.').ok_or(LinkError::Damaged)?;
    if version != VERSION {
        let number = !version.is_empty() && version.len() <= 4 && version.bytes().all(|b| b.is_ascii_digit());
        return Err(if number { LinkError::Version(version.to_string()) } else { LinkError::Damaged });
    }
    let framed = URL_SAFE_NO_PAD.decode(data).map_err(|_| LinkError::Damaged)?;
    let (checksum, compressed) = framed.split_at_checked(4).ok_or(LinkError::Damaged)?;
    let bytes = unpack(compressed)?;
    if crc32c::crc32c(&bytes).to_be_bytes() != checksum {
        return Err(LinkError::Damaged);
    }
    String::from_utf8(bytes).map_err(|_| LinkError::Damaged)
}

/// Undoes the compression. Nothing may follow what it made: a link is whole, and only one text is in it.
fn unpack(compressed: &[u8]) -> Result<Vec<u8>, LinkError> {
    let mut bytes = vec![0; LONGEST_TEXT];
    let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (status, read, written) = decompress(&mut DecompressorOxide::new(), compressed, &mut bytes, 0, flags);
    match status {
        TINFLStatus::Done if read == compressed.len() => {
            bytes.truncate(written);
            Ok(bytes)
        }
        TINFLStatus::HasMoreOutput => Err(LinkError::TooLong),
        _ => Err(LinkError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cluster brokers=3 controllers=3 seed=7\ntopic orders partitions=3\n> „Wer führt?“ 😀\n";

    #[test]
    fn a_link_gives_back_the_text() {
        for text in ["", TEXT, &TEXT.repeat(500)] {
            let link = encode(text).unwrap();
            assert!(link.bytes().all(|b| b.is_ascii_alphanumeric() || b"#=.-_".contains(&b)), "{link}");
            assert_eq!(decode(&link).as_deref(), Ok(text));
            assert_eq!(decode(&link[1..]).as_deref(), Ok(text));
            assert_eq!(decode(&format!("https://example.org/{link}&t=3s")).as_deref(), Ok(text));
        }
    }

    #[test]
    fn every_damaged_link_is_refused() {
        let link = encode(TEXT).unwrap();
        for end in 0..link.len() {
            assert!(decode(&link[..end]).is_err(), "cut off at {end}");
        }
        let bytes = link.as_bytes();
        for i in 5..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[i] = if changed[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last character may hold bits that count for nothing.
            if let Ok(text) = decode(&changed) {
                assert_eq!(text, TEXT, "changed at {i}");
            }
        }
    }

    #[test]
    fn what_follows_a_good_link_damages_it() {
        let link = encode(TEXT).unwrap();
        let framed = URL_SAFE_NO_PAD.decode(link.split_once('.').unwrap().1).unwrap();
        for more in [&b"\0"[..], b"more", &[0; 3000]] {
            let longer = [&framed[..], more].concat();
            let link = format!("#s=1.{}", URL_SAFE_NO_PAD.encode(longer));
            assert_eq!(decode(&link), Err(LinkError::Damaged), "{} bytes more", more.len());
        }
        for more in ["A", "AAAA", "=", ".", " x", "#s=1.AAAA"] {
            assert_eq!(decode(&format!("{link}{more}")), Err(LinkError::Damaged), "{more:?} more");
        }
    }

    #[test]
    fn a_link_may_be_as_long_as_it_is_made_and_no_longer() {
        // Numbers that repeat nothing, so that the link is about as long as the text.
        let text: String = (0_u32..).map(|i| format!("{:08x}", i.wrapping_mul(2_654_435_761))).take(6_000).collect();
        let ends: Vec<usize> = (0..=text.len()).collect();
        let longest = ends.partition_point(|end| encode(&text[..*end]).is_ok()) - 1;
        assert!(longest < text.len(), "the text is longer than any link");
        let link = encode(&text[..longest]).unwrap();
        assert!((LONGEST_LINK - 8..=LONGEST_LINK).contains(&link.len()), "{}", link.len());
        assert_eq!(decode(&link).as_deref(), Ok(&text[..longest]));
        assert_eq!(decode(&format!("https://example.org/a/long/way/{link}")).as_deref(), Ok(&text[..longest]));
        assert_eq!(decode(&format!("#s=1.{}", "A".repeat(LONGEST_LINK - 4))), Err(LinkError::TooLong));
        assert_eq!(decode(&format!("#s=1.{}", "A".repeat(LONGEST_LINK - 8))), Err(LinkError::Damaged));
    }

    #[test]
    fn foreign_newer_and_oversized_links_say_what_they_are() {
        assert_eq!(decode("#about"), Err(LinkError::Foreign));
        assert_eq!(decode(""), Err(LinkError::Foreign));
        assert_eq!(decode("#s=2.AAAA"), Err(LinkError::Version("2".to_string())));
        assert_eq!(decode("#s=1.AA"), Err(LinkError::Damaged));
        assert_eq!(decode("#s=1.ä€"), Err(LinkError::Damaged));
        assert_eq!(decode(&format!("#s=1.{}", "A".repeat(100_000))), Err(LinkError::TooLong));
        assert_eq!(encode(&"x".repeat(LONGEST_TEXT + 1)), Err(LinkError::TooLong));
        // A small link that would unpack to a very large text.
        let mut bomb = vec![0; 4];
        bomb.extend(compress_to_vec(&vec![b' '; 8 << 20], 9));
        let bomb = format!("#s=1.{}", URL_SAFE_NO_PAD.encode(bomb));
        assert_eq!(decode(&bomb), Err(LinkError::TooLong));
    }
}
