//! Tells stories with the cluster: each is a script with named parts, prose, and things to predict
//! and to do. The page fetches a lesson when somebody opens it; only the first minute is built in.

/// What opens when nothing else is asked for.
pub const FIRST_MINUTE: &str = include_str!("first_minute.hw");

/// A lesson: the script is the file of this name beside this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// In addresses, `#lesson=ID`, and the file's name before `.hw`.
    pub id: &'static str,
    pub title: &'static str,
    /// What one learns, in a sentence.
    pub says: &'static str,
    /// How long it takes.
    pub minutes: u8,
}

/// The lessons in reading order.
pub const LESSONS: [Lesson; 18] = [
    Lesson {
        id: "a-broker-dies",
        title: "A broker dies",
        says: "Nine seconds of silence, an election, and nothing that was acknowledged is gone.",
        minutes: 4,
    },
    Lesson {
        id: "same-key",
        title: "Same key, same partition",
        says: "Why one customer’s records stay in order, and what adding partitions does to that.",
        minutes: 3,
    },
    Lesson {
        id: "high-watermark",
        title: "The high watermark",
        says: "How far consumers may read, and why followers know it one fetch later.",
        minutes: 3,
    },
    Lesson {
        id: "acks",
        title: "What acks promises",
        says: "The same accident with acks=0, 1 and all: who is told what, and what is lost.",
        minutes: 5,
    },
    Lesson {
        id: "min-insync",
        title: "Rather refuse than lose",
        says: "min.insync.replicas says how few copies are too few; NOT_ENOUGH_REPLICAS says so to you.",
        minutes: 4,
    },
    Lesson {
        id: "nobodys-topic",
        title: "A topic nobody created",
        says: "A misspelt name is a new topic with one copy of everything: acknowledged by all, and all is one.",
        minutes: 4,
    },
    Lesson {
        id: "thirty-seconds",
        title: "Thirty seconds of patience",
        says: "A follower falls silent: acks=all waits for it until replica.lag.time.max.ms is over.",
        minutes: 4,
    },
    Lesson {
        id: "zombie",
        title: "A leader that does not know",
        says: "Cut off and replaced, it goes on taking records. With acks=1 it acknowledges them, too.",
        minutes: 4,
    },
    Lesson {
        id: "truncation",
        title: "Two truths, one log",
        says: "Replicas whose logs have parted find where, by leader epochs, and cut exactly there.",
        minutes: 4,
    },
    Lesson {
        id: "unclean",
        title: "An old leader or none",
        says: "Unclean election buys availability, and the price is paid in acknowledged records.",
        minutes: 4,
    },
    Lesson {
        id: "sequence-numbers",
        title: "Once, and in order",
        says: "A lost answer makes a producer send again; a sequence number makes that harmless.",
        minutes: 4,
    },
    Lesson {
        id: "at-least-once",
        title: "At least once",
        says: "A consumer dies between reading and committing: somebody reads those records again.",
        minutes: 4,
    },
    Lesson {
        id: "slow-application",
        title: "Alive, but not polling",
        says: "An application that takes too long between two polls loses its partitions, however healthy it is.",
        minutes: 4,
    },
    Lesson {
        id: "rebalance",
        title: "Who waits for whom",
        says: "One member of a group falls silent: with the classic protocol all stop, with KIP-848 only what it holds.",
        minutes: 4,
    },
    Lesson {
        id: "share-group",
        title: "Many hands, one partition",
        says: "A share group hands out single records, locks them, and tries them again: a queue on a log.",
        minutes: 5,
    },
    Lesson {
        id: "late-write",
        title: "A record comes back",
        says: "A write of a share group’s state is late, Kafka 4.2 takes it all the same, and what was done is done again.",
        minutes: 4,
    },
    Lesson {
        id: "exactly-once",
        title: "Exactly once",
        says: "Reading, writing and committing in one transaction: a crash repeats the work, not its effect.",
        minutes: 5,
    },
    Lesson {
        id: "controllers",
        title: "Who decides when deciders die",
        says: "Three controllers, one log of metadata; without two of them, nothing is decided.",
        minutes: 4,
    },
];

/// The lesson of that name, with its place in the reading order.
pub fn find(id: &str) -> Option<(usize, &'static Lesson)> {
    LESSONS.iter().enumerate().find(|(_, lesson)| lesson.id == id)
}
