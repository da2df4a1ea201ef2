//! Records, positions and offsets.

use bytes::Bytes;

use crate::kafka::node::{ProducerRecord, SeekTo};
use crate::scenario::error::ScriptError;
use crate::scenario::lex::Word;
use crate::scenario::parse::args::{Args, between};
use crate::scenario::quantity;
use crate::scenario::script::Statement;
use crate::sim::action::{Action, ResetTo};
use crate::time::{Duration, Rate};
use crate::wire::{AcknowledgeType, Offset, str_bytes, topic_name};

pub fn send(a: &mut Args<'_>) -> Option<Statement> {
    let producer = a.client("producer")?;
    let topic = a.text("a topic")?;
    let record = a.word("a record written `key=value`")?;
    let Some((key, value)) = record.split_once("=") else {
        return a.fail(ScriptError::expected(record.span, "a record written `key=value`", &record.text()));
    };
    a.options();
    let partition = a.option_as("partition", "a partition's number", between(0, i32::MAX));
    let timestamp = a.option_as("timestamp", "milliseconds, or a duration such as `2s`", millis);
    let headers = a.prefixed("header.");
    let headers = headers.iter().map(|(name, value)| (str_bytes(name), bytes(value))).collect();
    let record = ProducerRecord {
        topic: topic_name(&topic),
        partition: partition?,
        key: bytes(&key),
        value: bytes(&value),
        timestamp: timestamp?,
        headers,
    };
    a.finish(Statement::Act(Action::Send { producer, record }))
}

/// Nothing at all is null; empty quotes are empty.
fn bytes(word: &Word) -> Option<Bytes> {
    (!word.is_empty()).then(|| Bytes::from(word.text()))
}

/// A timestamp: milliseconds, or a duration since time zero.
fn millis(text: &str) -> Option<i64> {
    match quantity::duration(text) {
        Some(duration) => Some(duration.millis()),
        None => text.parse().ok().filter(|millis| *millis >= 0),
    }
}

pub fn load(a: &mut Args<'_>) -> Option<Statement> {
    let producer = a.client("producer")?;
    let topic = a.text("a topic")?;
    a.options();
    let rate = a.option_as("rate", "a rate such as `100/s`, at most 1000000/s", quantity::rate);
    let keys = a.option_as("keys", "a number of keys from 1 to 1000000", between(1_u32, 1_000_000));
    let size = a.option_as("size", "a size such as `100` or `1KiB`, at most 1MiB", |text| {
        quantity::size(text).filter(|size| *size <= 1 << 20)
    });
    let duration = a.option_as("for", "a duration such as `10s`", quantity::duration);
    let load = Action::Load {
        producer,
        topic,
        rate: rate?.unwrap_or(Rate { count: 100, per: Duration::from_secs(1) }),
        keys: keys?.unwrap_or(50),
        size: size?.unwrap_or(100),
        duration: duration?.unwrap_or(Duration::from_secs(10)),
    };
    a.finish(Statement::Act(load))
}

pub fn begin(a: &mut Args<'_>) -> Option<Statement> {
    let producer = a.client("producer")?;
    a.finish(Statement::Act(Action::BeginTransaction { producer }))
}

/// Of a consumer's positions, or of a producer's transaction: the name decides.
pub fn commit(a: &mut Args<'_>) -> Option<Statement> {
    let client = a.client("client")?;
    a.finish(Statement::Act(Action::Commit { client }))
}

pub fn abort(a: &mut Args<'_>) -> Option<Statement> {
    let producer = a.client("producer")?;
    a.finish(Statement::Act(Action::AbortTransaction { producer }))
}

pub fn offsets(a: &mut Args<'_>) -> Option<Statement> {
    let producer = a.client("producer")?;
    let consumer = a.client("consumer")?;
    a.finish(Statement::Act(Action::SendOffsets { producer, consumer }))
}

/// Of all that the application holds, or of one record.
pub fn acknowledge(a: &mut Args<'_>) -> Option<Statement> {
    let consumer = a.client("share-consumer")?;
    let word = a.keyword(&AcknowledgeType::ALL.map(AcknowledgeType::name))?;
    let kind = AcknowledgeType::ALL.into_iter().find(|kind| kind.name() == word)?;
    let record = match a.peek() {
        None => None,
        Some(_) => {
            let partition = a.partition()?;
            let expected = "the offset of the record";
            let word = a.word(expected)?;
            let offset = a.read(word, expected, |text| text.parse().ok().filter(|offset| *offset >= 0))?;
            Some((partition, Offset(offset)))
        }
    };
    a.finish(Statement::Act(Action::Acknowledge { consumer, kind, record }))
}

pub fn seek(a: &mut Args<'_>) -> Option<Statement> {
    let consumer = a.client("consumer")?;
    let partition = a.partition()?;
    let expected = "an offset, `earliest`, `latest` or a timestamp such as `2s`";
    let word = a.word(expected)?;
    let to = a.read(word, expected, |text| match text {
        "earliest" => Some(SeekTo::Earliest),
        "latest" => Some(SeekTo::Latest),
        _ => match quantity::duration(text) {
            Some(time) => Some(SeekTo::Timestamp(time.millis())),
            None => text.parse().ok().filter(|offset| *offset >= 0).map(|offset| SeekTo::Offset(Offset(offset))),
        },
    })?;
    a.finish(Statement::Act(Action::Seek { consumer, partition, to }))
}

pub fn pause(a: &mut Args<'_>) -> Option<Statement> {
    let consumer = a.client("consumer")?;
    a.finish(Statement::Act(Action::Pause { consumer }))
}

pub fn resume(a: &mut Args<'_>) -> Option<Statement> {
    let consumer = a.client("consumer")?;
    a.finish(Statement::Act(Action::Resume { consumer }))
}

pub fn handle(a: &mut Args<'_>) -> Option<Statement> {
    let consumer = a.client("consumer")?;
    let expected = "how long its application takes for a record, such as `200ms`";
    let word = a.word(expected)?;
    let each = a.read(word, expected, quantity::duration)?;
    a.finish(Statement::Act(Action::Handle { consumer, each }))
}

pub fn close(a: &mut Args<'_>) -> Option<Statement> {
    let client = a.client("client")?;
    a.finish(Statement::Act(Action::Close { client }))
}

pub fn reset_offsets(a: &mut Args<'_>) -> Option<Statement> {
    let group = a.text("a group")?;
    let topic = a.text("a topic")?;
    a.options();
    let expected = "`earliest`, `latest`, an offset or a timestamp such as `2s`";
    let to = a.option_as("to", expected, |text| match text {
        "earliest" => Some(ResetTo::Earliest),
        "latest" => Some(ResetTo::Latest),
        _ => match quantity::duration(text) {
            Some(time) => Some(ResetTo::Time(time.millis())),
            None => text.parse().ok().filter(|offset| *offset >= 0).map(|offset| ResetTo::Offset(Offset(offset))),
        },
    })?;
    let shift = a.option_as("shift", "a number of records such as `-5`", |text| text.parse().ok())?;
    let to = match (to, shift) {
        (Some(to), None) => to,
        (None, Some(shift)) => ResetTo::Shift(shift),
        (None, None) => return a.fail(ScriptError::expected(a.end, "`to=…` or `shift=…`", "")),
        (Some(_), Some(_)) => {
            let message = "`to` and `shift` exclude each other: exactly one says where the offsets go";
            return a.fail(ScriptError::because(a.end, "shift", message));
        }
    };
    a.finish(Statement::Act(Action::ResetOffsets { group, topic, to }))
}
