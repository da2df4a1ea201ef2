//! The fields of a message as a person reads them: Kafka's names, what is optional as what it is, record
//! batches opened. They are read from the message's debug print, which every message of the protocol has.

use bytes::Bytes;

use crate::view::inspect::Row;
use crate::wire::batch::Batch;
use crate::wire::{Body, Request, Response};

/// No message is shown longer than so many fields, no batch with more than so many records.
const SHOWN: usize = 200;
const RECORDS_SHOWN: usize = 12;

pub(super) fn fields(body: &Body) -> Vec<Row> {
    let printed = match body {
        Body::Request(request) => format!("{request:#?}"),
        Body::Response(response) => format!("{response:#?}"),
    };
    let mut reader = Reader { records: record_sets(body).into_iter(), ..Reader::default() };
    printed.lines().for_each(|line| reader.read(line.trim()));
    reader.rows.truncate(SHOWN);
    reader.rows
}

/// The record batches that a message carries, in the order of its fields.
fn record_sets(body: &Body) -> Vec<Bytes> {
    match body {
        Body::Request(Request::Produce(produce)) => {
            let partitions = produce.topic_data.iter().flat_map(|topic| &topic.partition_data);
            partitions.filter_map(|partition| partition.records.clone()).collect()
        }
        Body::Response(Response::Fetch(fetch)) => {
            let partitions = fetch.responses.iter().flat_map(|topic| &topic.partitions);
            partitions.filter_map(|partition| partition.records.clone()).collect()
        }
        Body::Response(Response::ShareFetch(fetch)) => {
            let partitions = fetch.responses.iter().flat_map(|topic| &topic.partitions);
            partitions.filter_map(|partition| partition.records.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// What a line of the print has opened and not closed yet.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    /// A list, whose elements stand further in.
    List,
    /// An element of a list: its first field has the mark.
    Element { begun: bool },
    /// What says nothing by itself: the message as a whole, `Some(…)`, the type around an id.
    Wrapper,
}

#[derive(Default)]
struct Reader {
    rows: Vec<Row>,
    open: Vec<Open>,
    /// A field whose value comes on a line of its own.
    named: Option<String>,
    records: std::vec::IntoIter<Bytes>,
}

impl Reader {
    fn read(&mut self, line: &str) {
        let line = line.strip_suffix(',').unwrap_or(line);
        if matches!(line, "}" | "]" | ")") {
            self.open.pop();
            return;
        }
        let (name, value) = match line.split_once(": ") {
            Some((name, value)) if is_name(name) => (Some(name), value),
            _ => (None, line),
        };
        if name == Some("unknown_tagged_fields") {
            return;
        }
        if let Some(name) = name {
            self.named = Some(camel(name));
        }
        match value.chars().last() {
            Some('[') => self.begin_list(),
            Some('{') if self.named.is_none() && self.open.last() == Some(&Open::List) => {
                self.open.push(Open::Element { begun: false });
            }
            Some('{' | '(') => self.open.push(Open::Wrapper),
            _ => self.value(value),
        }
    }

    fn begin_list(&mut self) {
        if let Some(name) = self.named.take() {
            self.row(&name, "");
        }
        self.open.push(Open::List);
    }

    fn value(&mut self, value: &str) {
        let name = self.named.take().unwrap_or_default();
        if value.starts_with("b\"") {
            return self.bytes(&name, value);
        }
        let value = match value {
            "None" => "null",
            value => value.trim_matches('"'),
        };
        self.row(&name, value);
    }

    /// Records are told one by one; of other bytes, how many they are.
    fn bytes(&mut self, name: &str, printed: &str) {
        let Some(set) = self.records.next().filter(|_| name == "records") else {
            let empty = printed == "b\"\"";
            return self.row(name, if empty { "no bytes" } else { "bytes" });
        };
        let batches = Batch::parse_all(set.clone(), false).unwrap_or_default();
        let size = set.len();
        self.row(name, &format!("{} of {size} bytes", count(batches.len(), "batch", "batches")));
        for batch in &batches {
            let records = batch.records().unwrap_or_default();
            let offsets = match (batch.base_offset, batch.last_offset) {
                (first, last) if first == last => format!("offset {first}"),
                (first, last) => format!("offsets {first}–{last}"),
            };
            self.row("  batch", &format!("{offsets}, {}", count(records.len(), "record", "records")));
            for record in records.iter().take(RECORDS_SHOWN) {
                let text = |part: Option<&Bytes>| {
                    part.map_or("null".to_string(), |bytes| String::from_utf8_lossy(bytes).into_owned())
                };
                self.row(
                    &format!("    {}", record.offset),
                    &format!("{} = {}", text(record.key.as_ref()), text(record.value.as_ref())),
                );
            }
        }
    }

    fn row(&mut self, name: &str, value: &str) {
        let depth = self.open.iter().filter(|open| matches!(open, Open::List)).count();
        let mark = match self.open.iter_mut().rev().find(|open| !matches!(open, Open::Wrapper)) {
            Some(Open::Element { begun }) => {
                if std::mem::replace(begun, true) {
                    "  "
                } else {
                    "– "
                }
            }
            _ => "",
        };
        let indent = "  ".repeat(depth.saturating_sub(usize::from(!mark.is_empty())));
        self.rows.push(Row::new(format!("{indent}{mark}{name}"), value));
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// `high_watermark` is `highWatermark` in Kafka's schemas.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_string();
    words.fold(first, |mut text, word| {
        let mut letters = word.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text + letters.as_str()
    })
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::batch::{BatchHeader, Compression, NewRecord};
    use crate::wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use crate::wire::messages::{HeartbeatRequest, ProduceRequest};
    use crate::wire::{GroupId, str_bytes, topic_name};

    fn told(body: Body) -> Vec<String> {
        let row = |row: Row| format!("{}: {}", row.name, row.value);
        fields(&body).into_iter().map(row).collect()
    }

    #[test]
    fn plain_fields_have_the_names_of_kafkas_schemas() {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(str_bytes("billing")))
            .with_generation_id(3)
            .with_member_id(str_bytes("c1-7"));
        let told = told(Body::Request(request.into()));
        assert_eq!(told, ["groupId: billing", "generationId: 3", "memberId: c1-7", "groupInstanceId: null"]);
    }

    #[test]
    fn a_produce_request_shows_its_records() {
        let record = NewRecord {
            timestamp: 0,
            key: Some(Bytes::from_static(b"alice")),
            value: Some(Bytes::from_static(b"created")),
            headers: Vec::new(),
        };
        let header = BatchHeader::PLAIN;
        let batch = Batch::build_compressed(&header, Compression::None, &[record]);
        let data = PartitionProduceData::default().with_index(2).with_records(Some(batch.bytes().clone()));
        let topic = TopicProduceData::default().with_name(topic_name("orders")).with_partition_data(vec![data]);
        let told = told(Body::Request(ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]).into()));
        assert_eq!(told[..3], ["transactionalId: null", "acks: -1", "timeoutMs: 0"]);
        assert_eq!(told[3], "topicData: ");
        assert_eq!(told[4], "– name: orders");
        assert!(told.contains(&"  – index: 2".to_string()), "{told:#?}");
        assert!(told.iter().any(|row| row.trim_start().starts_with("records: 1 batch of ")), "{told:#?}");
        assert!(told.iter().any(|row| row.ends_with("0: alice = created")), "{told:#?}");
    }
}
