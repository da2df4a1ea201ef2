//! What the next micro-batch reads: how far each partition goes under a limit, when it is worth a batch
//! at all, and how the ranges are cut among tasks (Spark's KafkaMicroBatchStream and
//! KafkaOffsetRangeCalculator). Pure functions of offsets.
//!
//! Where Spark calculates with doubles, so does this: the sum, the quotient and the rounding of IEEE 754
//! are the same on every machine, and an exact fraction would now and then plan another offset.

use crate::kafka::client::stream::checkpoint::Offsets;
use crate::sorted::SortedSet;
use crate::wire::{Offset, TopicPartition};

/// The records of one partition that one task reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetRange {
    pub partition: TopicPartition,
    pub from: Offset,
    /// The first offset that is not read any more.
    pub until: Offset,
}

/// What a batch is to read, and what of it cannot be read any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One range for each task.
    pub tasks: Vec<OffsetRange>,
    pub losses: Vec<Loss>,
}

/// Records that a batch should have begun with or gone on from, and that are gone, in Spark's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    pub partition: TopicPartition,
    /// How many offsets are passed over, where that is known.
    pub offsets: u64,
    pub message: String,
}

impl OffsetRange {
    fn size(&self) -> i64 {
        self.until.0 - self.from.0
    }
}

/// `maxOffsetsPerTrigger` (KafkaMicroBatchStream.rateLimit): each partition gets its share of the limit by
/// what it has to read, and at least one record if it has any, so that the sum may exceed the limit.
/// `new`: where partitions begin that `from` does not know.
pub fn rate_limit(limit: i64, from: &Offsets, new: &Offsets, until: &Offsets) -> Offsets {
    let begin = |partition: &TopicPartition| from.get(partition).or_else(|| new.get(partition)).copied();
    let size =
        |partition: &TopicPartition, end: Offset| begin(partition).map(|begin| end.0 - begin.0).filter(|s| *s > 0);
    let total: i64 = until.iter().filter_map(|(partition, end)| size(partition, *end)).sum();
    if total < 1 {
        return until.clone();
    }
    let limited = |(partition, end): (&TopicPartition, &Offset)| {
        let share = |(begin, size): (Offset, i64)| {
            let share = limit as f64 * (size as f64 / total as f64);
            let share = if share < 1.0 { share.ceil() } else { share.floor() } as i64;
            (*end).min(Offset(begin.0.saturating_add(share)))
        };
        let end = begin(partition).zip(size(partition, *end)).map_or(*end, share);
        (partition.clone(), end)
    };
    until.iter().map(limited).collect()
}

/// `minOffsetsPerTrigger` (KafkaMicroBatchStream.delayBatch): how many records there are; a partition that
/// `from` does not know counts from its beginning.
pub fn waiting(from: &Offsets, until: &Offsets) -> i64 {
    let begin = |partition: &TopicPartition| from.get(partition).map_or(0, |offset| offset.0);
    until.iter().map(|(partition, end)| end.0 - begin(partition)).sum()
}

/// The partitions of `until` that `from` does not know: they begin at their earliest offset.
pub fn new_partitions(from: &Offsets, until: &Offsets) -> SortedSet<TopicPartition> {
    until.keys().filter(|partition| !from.contains_key(*partition)).cloned().collect()
}

/// What a batch between these offsets reads (KafkaOffsetReader.getOffsetRangesFromResolvedOffsets).
/// `earliest`: where the partitions begin that `from` does not know, as far as they are there.
pub fn plan(from: &Offsets, until: &Offsets, earliest: &Offsets, min_partitions: Option<i32>) -> Plan {
    let mut losses = Vec::new();
    let mut lost = |partition: &TopicPartition, offsets: i64, message: String| {
        losses.push(Loss { partition: partition.clone(), offsets: offsets.max(0) as u64, message });
    };
    for partition in new_partitions(from, until) {
        match earliest.get(&partition) {
            None => lost(
                &partition,
                0,
                format!("Cannot find earliest offsets of Set({partition}). Some data may have been missed"),
            ),
            Some(Offset(0)) => {}
            Some(start) => {
                let message = format!(
                    "Added partition {partition} starts from {start} instead of 0. Some data may have been missed"
                );
                lost(&partition, start.0, message);
            }
        }
    }
    for partition in from.keys().filter(|partition| !until.contains_key(*partition)) {
        lost(partition, 0, format!("Set({partition}) are gone. Some data may have been missed"));
    }
    let mut ranges = Vec::new();
    for (partition, until) in until {
        let Some(from) = from.get(partition).or_else(|| earliest.get(partition)) else { continue };
        if until < from {
            let message = format!(
                "Partition {partition}'s offset was changed from {from} to {until}, some data may have been missed"
            );
            lost(partition, 0, message);
        }
        ranges.push(OffsetRange { partition: partition.clone(), from: *from, until: *until });
    }
    Plan { tasks: split_ranges(ranges, min_partitions), losses }
}

/// `minPartitions` (KafkaOffsetRangeCalculator.getRanges): empty ranges are left out, and if fewer are left
/// than asked for, the large ones are cut into pieces of about the same size.
pub fn split_ranges(ranges: Vec<OffsetRange>, min_partitions: Option<i32>) -> Vec<OffsetRange> {
    let ranges: Vec<OffsetRange> = ranges.into_iter().filter(|range| range.size() > 0).collect();
    let wanted = match min_partitions {
        Some(wanted) if (ranges.len() as i64) < i64::from(wanted) => i64::from(wanted),
        _ => return ranges,
    };
    let total: i64 = ranges.iter().map(OffsetRange::size).sum();
    // What stays whole takes no part in the proportions of the rest (SPARK-36576).
    let stays_whole = |range: &OffsetRange| part_count(range.size(), total, wanted) == 1;
    let whole = ranges.iter().filter(|range| stays_whole(range));
    let (count, size) = whole.fold((0, 0), |(count, size), range| (count + 1, size + range.size()));
    let wanted_of_split = (wanted - count).max(1);
    let mut cut = Vec::new();
    for range in ranges {
        if stays_whole(&range) {
            cut.push(range);
        } else {
            let parts = part_count(range.size(), total - size, wanted_of_split);
            cut_into(&range, parts, &mut cut);
        }
    }
    cut
}

/// Into parts of whole offsets; what does not divide falls to the later ones.
fn cut_into(range: &OffsetRange, parts: i64, cut: &mut Vec<OffsetRange>) {
    let (mut from, mut remaining) = (range.from, range.size());
    for part in 0..parts {
        let size = remaining / (parts - part);
        remaining -= size;
        let until = Offset(from.0 + size).min(range.until);
        cut.push(OffsetRange { partition: range.partition.clone(), from, until });
        from = until;
    }
}

/// Java's Math.round of the share, and at least one.
fn part_count(size: i64, total: i64, wanted: i64) -> i64 {
    let share = size as f64 / total as f64 * wanted as f64;
    ((share + 0.5).floor() as i64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(of: &[(i32, i64)]) -> Offsets {
        of.iter().map(|(partition, offset)| (TopicPartition::named("t", *partition), Offset(*offset))).collect()
    }

    fn messages(plan: &Plan) -> Vec<&str> {
        let message = |loss| {
            let Loss { message, .. }: &Loss = loss;
            message
                .trim_end_matches("some data may have been missed")
                .trim_end_matches("Some data may have been missed")
        };
        plan.losses.iter().map(|loss| message(loss).trim_end_matches([' ', ',', '.'])).collect()
    }

    #[test]
    fn what_is_gone_is_told_and_the_rest_is_read() {
        let changed = plan(&offsets(&[(0, 5), (1, 3)]), &offsets(&[(0, 2), (1, 4)]), &offsets(&[]), None);
        assert_eq!(messages(&changed), ["Partition t-0's offset was changed from 5 to 2"]);
        assert_eq!(changed.tasks.len(), 1, "only the other partition is read: {:?}", changed.tasks);
        let gone = plan(&offsets(&[(0, 5), (1, 3)]), &offsets(&[(0, 6)]), &offsets(&[]), None);
        assert_eq!(messages(&gone), ["Set(t-1) are gone"]);
        let added = plan(&offsets(&[(0, 5)]), &offsets(&[(0, 5), (1, 9), (2, 9)]), &offsets(&[(1, 0), (2, 4)]), None);
        assert_eq!(messages(&added), ["Added partition t-2 starts from 4 instead of 0"]);
        assert_eq!(added.losses[0].offsets, 4);
        let vanished = plan(&offsets(&[]), &offsets(&[(0, 5)]), &offsets(&[]), None);
        assert_eq!(messages(&vanished), ["Cannot find earliest offsets of Set(t-0)"]);
        assert!(vanished.tasks.is_empty());
    }

    #[test]
    fn records_of_unknown_partitions_wait_too() {
        assert_eq!(waiting(&offsets(&[(0, 5)]), &offsets(&[(0, 7), (1, 3)])), 5);
    }
}
