//! What applications run: producer, consumer, admin client.
