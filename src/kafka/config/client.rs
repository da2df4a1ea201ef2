//! Settings that all clients have (CommonClientConfigs); each client says where it keeps them.

use crate::kafka::config::setting::{Kind, Setting, Valid, Value};

type Set<C> = fn(&mut C, &Value);

pub(super) const fn request_timeout<C>(set: Set<C>) -> Setting<C> {
    Setting {
        name: "request.timeout.ms",
        kind: Kind::Int,
        default: "30000",
        valid: Valid::AtLeast(0),
        meaning: "How long the client waits for the answer to a request.",
        set,
    }
}

pub(super) const fn retry_backoff<C>(set: Set<C>) -> Setting<C> {
    Setting {
        name: "retry.backoff.ms",
        kind: Kind::Long,
        default: "100",
        valid: Valid::AtLeast(0),
        meaning: "How long the client waits before the first retry; the wait doubles with each one.",
        set,
    }
}

pub(super) const fn retry_backoff_max<C>(set: Set<C>) -> Setting<C> {
    Setting {
        name: "retry.backoff.max.ms",
        kind: Kind::Long,
        default: "1000",
        valid: Valid::AtLeast(0),
        meaning: "How long the client waits before a retry at the most.",
        set,
    }
}

pub(super) const fn metadata_max_age<C>(set: Set<C>) -> Setting<C> {
    Setting {
        name: "metadata.max.age.ms",
        kind: Kind::Long,
        default: "300000",
        valid: Valid::AtLeast(0),
        meaning: "After how long the client asks for the cluster's metadata even when nothing went wrong.",
        set,
    }
}
