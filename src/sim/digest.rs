//! A hash of the whole state of a world: every node with its disk, everything in flight, every
//! timer, the generator. Equal digests mean equal worlds, natively and in the browser.

use std::fmt::{self, Write};

use xxhash_rust::xxh3::Xxh3;

use crate::sim::world::World;

/// 128 bits of XXH3, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl World {
    /// Hashes the `Debug` form: it names every field of every node and holds no address, no hash
    /// order and no width of a machine.
    pub fn digest(&self) -> Digest {
        let mut sink = Sink(Xxh3::new());
        write!(sink, "{self:?}").expect("hashing never fails");
        Digest(sink.0.digest128())
    }
}

struct Sink(Xxh3);

impl Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}
