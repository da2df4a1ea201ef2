//! Where the replicas of new partitions go (StripedReplicaPlacer): spread over racks first, then over
//! the brokers of each rack, beginning anywhere. Fenced brokers only when the others do not suffice.

use crate::kafka::node::Turn;
use crate::wire::{BrokerId, StrBytes, Uuid};

/// The random numbers of a placement: the turn's in a run, Kafka's own in its tests.
pub trait Draw {
    /// A number in `0..bound`; `bound` is positive.
    fn below(&mut self, bound: u32) -> u32;

    /// A random topic id.
    fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes.fill_with(|| self.below(256) as u8);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

impl Draw for Turn<'_> {
    fn below(&mut self, bound: u32) -> u32 {
        Turn::below(self, u64::from(bound)) as u32
    }

    fn uuid(&mut self) -> Uuid {
        Turn::uuid(self)
    }
}

/// A broker that can hold replicas: registered and not in controlled shutdown.
#[derive(Clone, Debug, PartialEq)]
pub struct UsableBroker {
    pub id: BrokerId,
    pub rack: Option<StrBytes>,
    pub fenced: bool,
}

/// The racks of one request to create partitions: one `place` a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct RackList {
    /// In the order of Kafka's hash map of racks, which decides the order of the draws.
    racks: Vec<(Option<StrBytes>, Rack)>,
    /// Indices into `racks`: sorted by name at first, then shuffled.
    order: Vec<u32>,
    total: u32,
    unfenced: u32,
    /// Placements since the last shuffle.
    epoch: u32,
    /// Which of `order` the next partition begins with.
    offset: u32,
}

#[derive(Clone, Debug, PartialEq, Default)]
struct Rack {
    fenced: BrokerList,
    unfenced: BrokerList,
}

/// Brokers handed out in a circle, each at most once an epoch.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BrokerList {
    brokers: Vec<BrokerId>,
    /// Handed out in this epoch.
    index: u32,
    /// Where the circle begins; one further every epoch.
    offset: u32,
    epoch: u32,
}

impl RackList {
    pub fn new(brokers: impl IntoIterator<Item = UsableBroker>, draw: &mut impl Draw) -> RackList {
        let mut racks: Vec<(Option<StrBytes>, Rack)> = Vec::new();
        let (mut total, mut unfenced) = (0, 0);
        for broker in brokers {
            let index = racks.iter().position(|(name, _)| *name == broker.rack).unwrap_or_else(|| {
                racks.push((broker.rack, Rack::default()));
                racks.len() - 1
            });
            let rack = &mut racks[index].1;
            total += 1;
            if broker.fenced {
                rack.fenced.brokers.push(broker.id);
            } else {
                unfenced += 1;
                rack.unfenced.brokers.push(broker.id);
            }
        }
        let buckets = hash_map_buckets(racks.len());
        racks.sort_by_key(|(name, _)| java_spread_hash(name.as_ref()) & (buckets - 1));
        for (_, rack) in &mut racks {
            rack.fenced.begin_anywhere(draw);
            rack.unfenced.begin_anywhere(draw);
        }
        let mut order: Vec<u32> = (0..racks.len() as u32).collect();
        order.sort_unstable_by(|a, b| racks[*a as usize].0.cmp(&racks[*b as usize].0));
        let offset = if order.is_empty() { 0 } else { draw.below(order.len() as u32) };
        RackList { racks, order, total, unfenced, epoch: 0, offset }
    }

    /// The replicas of one more partition, the first one unfenced; the error says why not.
    pub fn place(&mut self, replication_factor: i32, draw: &mut impl Draw) -> Result<Vec<BrokerId>, String> {
        self.check(replication_factor)?;
        if self.epoch == self.unfenced && self.unfenced > 1 {
            self.shuffle(draw);
            self.epoch = 0;
        }
        let (racks, epoch) = (self.order.len() as u32, self.epoch);
        if self.offset == racks {
            self.offset = 0;
        }
        let mut replicas = Vec::with_capacity(replication_factor as usize);
        let mut first_rack = self.offset;
        loop {
            // At least one broker is unfenced, and a new epoch hands out every broker again.
            if let Some(broker) = self.rack(first_rack).unfenced.next_in(epoch) {
                replicas.push(broker);
                break;
            }
            first_rack = (first_rack + 1) % racks;
        }
        let mut skipped = Some(first_rack);
        let mut next_rack = self.offset;
        while (replicas.len() as i32) < replication_factor {
            let index = next_rack;
            next_rack = (next_rack + 1) % racks;
            if skipped == Some(index) {
                skipped = None;
                continue;
            }
            replicas.extend(self.rack(index).next_in(epoch));
        }
        self.epoch += 1;
        self.offset += 1;
        Ok(replicas)
    }

    fn check(&self, replication_factor: i32) -> Result<(), String> {
        if replication_factor <= 0 {
            return Err(format!(
                "Invalid replication factor {replication_factor}: the replication factor must be positive."
            ));
        }
        if self.unfenced == 0 {
            return Err("All brokers are currently fenced.".to_string());
        }
        if i64::from(replication_factor) > i64::from(self.total) {
            return Err(format!(
                "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are \
                 registered.",
                self.total
            ));
        }
        Ok(())
    }

    fn rack(&mut self, index: u32) -> &mut Rack {
        let rack = self.order[index as usize];
        &mut self.racks[rack as usize].1
    }

    fn shuffle(&mut self, draw: &mut impl Draw) {
        shuffle(&mut self.order, draw);
        for (_, rack) in &mut self.racks {
            shuffle(&mut rack.fenced.brokers, draw);
            shuffle(&mut rack.unfenced.brokers, draw);
        }
    }
}

impl Rack {
    fn next_in(&mut self, epoch: u32) -> Option<BrokerId> {
        self.unfenced.next_in(epoch).or_else(|| self.fenced.next_in(epoch))
    }
}

impl BrokerList {
    /// Begins at the broker with this index.
    pub fn new(brokers: Vec<BrokerId>, offset: u32) -> BrokerList {
        BrokerList { brokers, offset, ..BrokerList::default() }
    }

    /// The next broker of this epoch; `None` when all have been handed out.
    pub fn next_in(&mut self, epoch: u32) -> Option<BrokerId> {
        let size = self.brokers.len() as u32;
        if size == 0 {
            return None;
        }
        if self.epoch != epoch {
            self.epoch = epoch;
            self.index = 0;
            self.offset = (self.offset + 1) % size;
        }
        if self.index >= size {
            return None;
        }
        let broker = self.brokers[((self.index + self.offset) % size) as usize];
        self.index += 1;
        Some(broker)
    }

    fn begin_anywhere(&mut self, draw: &mut impl Draw) {
        if !self.brokers.is_empty() {
            self.brokers.sort_unstable();
            self.offset = draw.below(self.brokers.len() as u32);
        }
    }
}

/// Collections.shuffle: swaps backwards.
fn shuffle<T>(list: &mut [T], draw: &mut impl Draw) {
    for i in (2..=list.len()).rev() {
        list.swap(i - 1, draw.below(i as u32) as usize);
    }
}

/// How many buckets a java.util.HashMap of this size has.
fn hash_map_buckets(entries: usize) -> u32 {
    let mut buckets = 16;
    while entries as u32 > buckets / 4 * 3 {
        buckets *= 2;
    }
    buckets
}

/// The hash of an `Optional<String>`, with HashMap's own spreading of the upper bits.
fn java_spread_hash(name: Option<&StrBytes>) -> u32 {
    let hash = name.map_or(0, |name| {
        name.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
    });
    hash ^ (hash >> 16)
}
