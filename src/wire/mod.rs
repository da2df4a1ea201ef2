//! What Kafka nodes say to each other: ids, error codes, envelopes, record batches. A thin,
//! well-named face on the crate `kafka-protocol`.

pub mod batch;
pub mod envelope;
pub mod ids;
pub mod topic;

pub use envelope::{ApiKey, Body, Correlation, Envelope, Request, Response};
pub use ids::*;
/// Kafka's error codes by their own names (`Errors` in Kafka's sources). "No error" is `None`.
pub use kafka_protocol::ResponseError as ErrorCode;
pub use kafka_protocol::messages;
pub use kafka_protocol::protocol::StrBytes;
pub use topic::*;

/// The code that a response field carries: 0 when there is no error.
pub fn code(error: Option<ErrorCode>) -> i16 {
    error.map_or(0, |e| e.code())
}

/// What a response field says: `None` for 0.
pub fn error(code: i16) -> Option<ErrorCode> {
    if code == 0 { None } else { ErrorCode::try_from_code(code).or(Some(ErrorCode::UnknownServerError)) }
}
