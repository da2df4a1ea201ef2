//! The names of topics and their ids, and small values, as the golden files write them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use highwater::kafka::controller::image::{MetadataImage, PartitionRegistration};
use highwater::kafka::controller::record::MetadataRecord;
use highwater::kafka::group::assignor::Partitions;
use highwater::sorted::SortedSet;
use highwater::time::Duration;
use highwater::wire::{BrokerId, StrBytes, Uuid, str_bytes, topic_name};
use serde_json::{Value, json};

use super::list;

/// What of a group's initial state the recordings do not tell: it equals whatever is recorded later.
pub(super) const UNKNOWN_MS: i64 = 77_777;

/// The topics of a case, whose ids the recordings give by name.
pub struct Names {
    pub image: MetadataImage,
    /// Topics that are gone, whose ids the recordings could not name.
    gone: BTreeMap<Uuid, String>,
}

/// The same name has the same id in every image of a case.
fn id_for(name: &str) -> Uuid {
    Uuid::from_u128(name.bytes().fold(1, |hash: u128, byte| hash.wrapping_mul(257).wrapping_add(byte.into())))
}

impl Names {
    pub fn new(topics: impl IntoIterator<Item = (String, i32)>) -> Names {
        let mut image = MetadataImage::new();
        for (name, partitions) in topics {
            let topic = id_for(&name);
            image.replay(&MetadataRecord::Topic { name: topic_name(&name), id: topic });
            for partition in 0..partitions {
                let registration = PartitionRegistration::new(vec![BrokerId(1)], vec![BrokerId(1)]);
                image.replay(&MetadataRecord::Partition { topic, partition, registration });
            }
        }
        Names { image, gone: BTreeMap::new() }
    }

    /// Every name of 22 digits that a case gives may be a topic's id.
    pub fn learn(&mut self, value: &Value) {
        let mut names = BTreeSet::new();
        all_texts(value, &mut names);
        let ids = names.into_iter().filter(|name| name.len() == 22).map(|name| (id_for(&name), name));
        self.gone.extend(ids);
    }

    /// What an earlier image knew of topics that are gone.
    pub fn keep(&mut self, earlier: Names) {
        self.gone = earlier.gone;
        self.gone.extend(earlier.image.topic_names.iter().map(|(id, name)| (*id, name.0.to_string())));
    }

    pub fn topics(&self) -> Vec<(String, i32)> {
        self.image.topics.iter().map(|(name, topic)| (name.0.to_string(), topic.partitions.len() as i32)).collect()
    }

    pub(super) fn id_of(&self, name: &str) -> Uuid {
        let known = self.image.topics.get(&topic_name(name)).map(|topic| topic.id);
        let id = known.unwrap_or_else(|| id_for(name));
        assert!(known.is_some() || self.gone.contains_key(&id), "there is no topic {name}");
        id
    }

    pub fn name_of(&self, id: &Uuid) -> String {
        match self.image.topic_names.get(id) {
            Some(name) => name.0.to_string(),
            None => self.gone.get(id).cloned().unwrap_or_else(|| id.to_string()),
        }
    }

    /// `{"foo": [0, 1]}`
    pub fn partitions(&self, value: &Value) -> Partitions {
        let topics = value.as_object().into_iter().flatten();
        topics.map(|(name, those)| (self.id_of(name), ints(those))).collect()
    }

    pub fn partitions_json(&self, partitions: &Partitions) -> Value {
        partitions.iter().map(|(id, those)| (self.name_of(id), json!(those))).collect()
    }

    /// `[{"topic_id": "foo", "partitions": [0, 1]}]`, in either spelling.
    pub fn owned(&self, value: &Value) -> Partitions {
        let name =
            |topic: &Value| topic["topicId"].as_str().or(topic["topic_id"].as_str()).unwrap_or_default().to_string();
        list(value).map(|topic| (self.id_of(&name(topic)), ints(&topic["partitions"]))).collect()
    }

    pub(super) fn topic_list(&self, partitions: &Partitions) -> Value {
        let topic = |(id, those): (&Uuid, &SortedSet<i32>)| json!({"topicId": self.name_of(id), "partitions": those});
        partitions.iter().map(topic).collect()
    }
}

/// Every key and every text of a value.
pub fn all_texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            into.insert(key.clone());
            all_texts(value, into);
        }),
        Value::Array(list) => list.iter().for_each(|value| all_texts(value, into)),
        Value::String(text) => drop(into.insert(text.clone())),
        _ => {}
    }
}

pub(super) fn ints(value: &Value) -> SortedSet<i32> {
    list(value).map(|p| p.as_i64().expect("a partition") as i32).collect()
}

pub(super) fn maybe(value: &Value) -> Option<StrBytes> {
    value.as_str().map(str_bytes)
}

pub(super) fn ms(value: &Value) -> Duration {
    Duration::from_millis(value.as_i64().unwrap_or_default())
}

// --- the group that a case begins with -------------------------------------------------------------

pub fn to_base64(bytes: &Bytes) -> String {
    STANDARD.encode(bytes)
}

pub fn from_base64(text: &str) -> Bytes {
    STANDARD.decode(text).expect("base64").into()
}
