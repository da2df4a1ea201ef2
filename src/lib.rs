//! Highwater: a Kafka cluster in a browser tab that you can break, rewind and trust.
