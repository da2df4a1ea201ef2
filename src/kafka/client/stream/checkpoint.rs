//! What a query keeps on storage of its own, which no crash of its process takes away (Spark's
//! MicroBatchExecution): where it began, what each batch reads, written before the batch runs, and which
//! batches are done. A query that starts anew runs the last planned batch again, with the same bounds,
//! unless its commit stands: so its sink sees it at least once, and one that knows batches by their
//! number exactly once.

use std::fmt;

use crate::sorted::SortedMap;
use crate::wire::{Offset, TopicName, TopicPartition};

/// Offsets by partition: where a batch begins or ends.
pub type Offsets = SortedMap<TopicPartition, Offset>;

/// The number of a micro-batch, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId(pub u64);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Of the logs only what is ever read again: the last entry of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// `sources/0`: where the query began; written once (KafkaSourceInitialOffsetWriter).
    initial: Option<Offsets>,
    /// `offsets/N` of the last N that stands in `commits`.
    done: Option<(BatchId, Offsets)>,
    /// `offsets/N` of the batch after it, if it is planned.
    planned: Option<Offsets>,
}

impl Checkpoint {
    pub fn begin_at(&mut self, offsets: Offsets) {
        self.initial.get_or_insert(offsets);
    }

    pub fn has_begun(&self) -> bool {
        self.initial.is_some()
    }

    /// Where the next batch begins, or the planned one does: where the last one that is done ended.
    pub fn start(&self) -> Option<&Offsets> {
        self.done.as_ref().map(|(_, end)| end).or(self.initial.as_ref())
    }

    /// The number of the next batch, planned or not.
    pub fn next(&self) -> BatchId {
        self.done.as_ref().map_or(BatchId(0), |(last, _)| BatchId(last.0 + 1))
    }

    /// The last batch whose commit stands.
    pub fn done(&self) -> Option<BatchId> {
        self.done.as_ref().map(|(batch, _)| *batch)
    }

    /// Where the batch ends that is planned and not done.
    pub fn planned(&self) -> Option<&Offsets> {
        self.planned.as_ref()
    }

    /// Whether a batch that ends here is worth planning: the first one always is, for no commit stands yet
    /// (MicroBatchExecution.isNewDataAvailable).
    pub fn is_news(&self, end: &Offsets) -> bool {
        self.done.as_ref().is_none_or(|(_, done)| done != end)
    }

    /// The offset log is written before a batch runs.
    pub fn plan(&mut self, end: Offsets) {
        assert!(self.planned.is_none(), "one batch at a time");
        self.planned = Some(end);
    }

    /// The commit log is written when the sink has the batch.
    pub fn commit(&mut self) {
        let batch = self.next();
        let end = self.planned.take().expect("only what was planned can be done");
        self.done = Some((batch, end));
    }
}

/// Offsets as Spark writes them into its logs: `{"orders":{"0":23}}` (JsonUtils.partitionOffsets).
pub fn as_json(offsets: &Offsets) -> String {
    let mut topics: SortedMap<&TopicName, Vec<String>> = SortedMap::new();
    for (partition, offset) in offsets {
        topics.entry(&partition.topic).or_default().push(format!("\"{}\":{}", partition.partition, offset.0));
    }
    let topic =
        |(name, partitions): (&&TopicName, &Vec<String>)| format!("\"{}\":{{{}}}", name.0, partitions.join(","));
    format!("{{{}}}", topics.iter().map(topic).collect::<Vec<String>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Offsets {
        [(TopicPartition::named("orders", 0), Offset(offset))].into_iter().collect()
    }

    #[test]
    fn a_planned_batch_is_the_same_until_its_commit_stands() {
        let mut checkpoint = Checkpoint::default();
        checkpoint.begin_at(at(3));
        checkpoint.begin_at(at(9));
        assert!(checkpoint.is_news(&at(3)), "the first batch is always planned");
        checkpoint.plan(at(5));
        let survived = checkpoint.clone();
        assert_eq!((survived.next(), survived.start(), survived.planned()), (BatchId(0), Some(&at(3)), Some(&at(5))));
        checkpoint.commit();
        assert_eq!((checkpoint.planned(), checkpoint.start()), (None, Some(&at(5))));
        assert!(!checkpoint.is_news(&at(5)) && checkpoint.is_news(&at(8)));
        checkpoint.plan(at(8));
        assert_eq!((checkpoint.next(), checkpoint.done()), (BatchId(1), Some(BatchId(0))));
    }

    #[test]
    fn offsets_are_written_as_spark_writes_them() {
        let mut offsets = at(23);
        offsets.insert(TopicPartition::named("orders", 1), Offset(7));
        offsets.insert(TopicPartition::named("a", 0), Offset(1));
        assert_eq!(as_json(&offsets), "{\"a\":{\"0\":1},\"orders\":{\"0\":23,\"1\":7}}");
    }
}
