//! Which partition a record goes to: by its key, or by the built-in sticky choice (KIP-794;
//! BuiltInPartitioner, Utils.murmur2).

/// A table to draw partitions from by weight (BuiltInPartitioner.PartitionLoadStats).
#[derive(Clone, Debug, PartialEq)]
pub struct LoadStats {
    /// Running sums of the weights: a partition is drawn when the draw is below its sum and not
    /// below the one before.
    pub cumulative: Vec<u32>,
    /// The partitions that the sums belong to.
    pub partitions: Vec<i32>,
}

/// The partition that records without a key stick to for a while; one for each topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Sticky {
    /// Bytes after which it moves on: `batch.size`, at least 1.
    batch_size: u32,
    current: Option<i32>,
    /// Bytes that went to `current` since it was chosen.
    produced: u64,
    /// `None`: every partition is as good as another.
    stats: Option<LoadStats>,
}

/// Utils.murmur2, the hash of the default partitioner.
pub fn murmur2(data: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut h = SEED ^ (data.len() as u32);
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let tail = words.remainder();
    for (i, byte) in tail.iter().enumerate() {
        h ^= u32::from(*byte) << (8 * i);
    }
    if !tail.is_empty() {
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^= h >> 15;
    h as i32
}

/// Utils.toPositive: the sign bit is cut off, which is not the absolute value.
pub fn to_positive(hash: i32) -> i32 {
    hash & 0x7fff_ffff
}

/// BuiltInPartitioner.partitionForKey: over all partitions, leaderless ones too.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    to_positive(murmur2(key)) % partitions
}

impl LoadStats {
    /// BuiltInPartitioner.updatePartitionLoadStats: the longer a partition's queue of batches, the
    /// less often it is drawn. `None` when there is nothing to tell partitions apart by.
    pub fn from_queues(queues: &[u32], partitions: &[i32], excluded: u32) -> Option<LoadStats> {
        let longest = *queues.iter().max()?;
        let all_equal = queues.iter().all(|q| *q == longest);
        if queues.len() < 2 || (all_equal && excluded == 0) {
            return None;
        }
        let mut sum = 0;
        let cumulative = queues.iter().map(|queue| {
            sum += longest + 1 - queue;
            sum
        });
        Some(LoadStats { cumulative: cumulative.collect(), partitions: partitions.to_vec() })
    }

    /// The partition whose sum is the first strictly above `random % total`.
    pub fn draw(&self, random: i32) -> i32 {
        let total = self.cumulative.last().copied().unwrap_or(1).max(1);
        let drawn = random as u32 % total;
        let index = self.cumulative.partition_point(|sum| *sum <= drawn);
        self.partitions[index.min(self.partitions.len() - 1)]
    }
}

impl Sticky {
    /// `None` when `batch.size` is no positive number: Kafka throws IllegalArgumentException.
    pub fn new(batch_size: i32) -> Option<Sticky> {
        let batch_size = u32::try_from(batch_size).ok().filter(|size| *size >= 1)?;
        Some(Sticky { batch_size, current: None, produced: 0, stats: None })
    }

    /// The partition for the next record without a key; `random` is asked only when a new one is
    /// chosen. `available` are the partitions with a leader, of `partitions` in all.
    pub fn partition(&mut self, available: &[i32], partitions: i32, random: impl FnOnce() -> i32) -> i32 {
        match self.current {
            Some(current) => current,
            None => self.choose(available, partitions, random),
        }
    }

    /// BuiltInPartitioner.updatePartitionInfo: `bytes` went to the current partition. It moves on
    /// when a batch's worth did and the batch is complete (`may_switch`), or at twice as much.
    pub fn produced(
        &mut self,
        bytes: u32,
        may_switch: bool,
        available: &[i32],
        partitions: i32,
        random: impl FnOnce() -> i32,
    ) {
        self.produced += u64::from(bytes);
        let size = u64::from(self.batch_size);
        if (self.produced >= size && may_switch) || self.produced >= 2 * size {
            self.choose(available, partitions, random);
        }
    }

    /// Whether the next `produced` could move on, so that the caller need not look before.
    pub fn is_ripe(&self, bytes: u32) -> bool {
        self.produced + u64::from(bytes) >= u64::from(self.batch_size)
    }

    /// The queues as the sender found them.
    pub fn set_stats(&mut self, stats: Option<LoadStats>) {
        self.stats = stats;
    }

    pub fn stats(&self) -> Option<&LoadStats> {
        self.stats.as_ref()
    }

    fn choose(&mut self, available: &[i32], partitions: i32, random: impl FnOnce() -> i32) -> i32 {
        let random = to_positive(random());
        let chosen = match &self.stats {
            Some(stats) => stats.draw(random),
            None if available.is_empty() => random % partitions.max(1),
            None => available[(random as u32 % available.len() as u32) as usize],
        };
        self.current = Some(chosen);
        self.produced = 0;
        chosen
    }
}
