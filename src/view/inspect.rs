//! The inspector: everything about one thing, as titled rows of names and values.

use serde::Serialize;

/// What is selected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Selection {
    Broker(i32),
    Controller(i32),
    Partition(String),
    Replica { partition: String, broker: i32 },
    Record { partition: String, broker: i32, offset: i64 },
    Producer(String),
    Consumer(String),
    Group(String),
    Message(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    pub title: String,
    pub sections: Vec<Section>,
    /// Bytes as a hex dump, where the thing has bytes.
    pub bytes: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Section {
    pub title: String,
    pub rows: Vec<(String, String)>,
}
