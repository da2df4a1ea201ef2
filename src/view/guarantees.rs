//! The two questions, answered live, and each broken promise with what would have kept it.

use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guarantees {
    /// The answer to "Was anything acknowledged and then lost?": "No. 24 acknowledged, 24 safe."
    pub lost: Answer,
    /// The answer to "Did any key's order break?"
    pub order: Answer,
    /// Further lines: waiting above the high watermark, duplicated, skipped, redelivery windows.
    pub lines: Vec<String>,
    pub anomalies: Vec<AnomalyRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    pub good: bool,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnomalyRow {
    /// `lost`, `duplicated`, `reordered`, `skipped`, `phantom`
    pub word: &'static str,
    pub text: String,
    /// The setting that would have prevented it, with why.
    pub prevented_by: String,
    /// The event that brought it about, to jump to.
    pub event: u64,
}
