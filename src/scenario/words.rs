//! The words of the language, and which of them is nearest to a misspelt one.

/// Every verb, in the order of the reference.
pub const VERBS: &[&str] = &[
    "cluster",
    "topic",
    "producer",
    "consumer",
    "share-consumer",
    "stream",
    "send",
    "load",
    "begin",
    "commit",
    "abort",
    "offsets",
    "acknowledge",
    "seek",
    "pause",
    "resume",
    "handle",
    "close",
    "reset-offsets",
    "kill",
    "power-off",
    "stop",
    "start",
    "wipe",
    "freeze",
    "thaw",
    "cut",
    "heal",
    "link",
    "drop",
    "delay",
    "duplicate",
    "disk",
    "create-partitions",
    "alter",
    "delete",
    "delete-records",
    "elect",
    "reassign",
    "add",
    "remove",
    "unregister",
    "wait",
    "at",
    "until",
    "expect",
    "always",
    "step",
    "ask",
    "goal",
];

/// What conditions can ask about, in the order of the reference.
pub const QUESTIONS: &[&str] = &[
    "leader",
    "leader-epoch",
    "isr",
    "isr-size",
    "elr",
    "replicas",
    "partition-epoch",
    "hw",
    "leo",
    "log-start",
    "lso",
    "log-bytes",
    "flushed",
    "cleaned",
    "producers",
    "segments",
    "offset-of",
    "broker",
    "controller",
    "controller-epoch",
    "quorum-leader",
    "voters",
    "metadata-start",
    "metadata-end",
    "snapshot",
    "feature",
    "state",
    "generation",
    "members",
    "assigned",
    "position",
    "committed",
    "lag",
    "start-offset",
    "acquired",
    "acked",
    "failed",
    "pending",
    "transaction",
    "checkpoint",
    "batch",
    "planned",
    "stream",
    "delivered",
    "values",
    "partition-of",
    "records",
    "lost",
    "duplicated",
    "reordered",
    "phantom",
    "skipped",
    "under-replicated",
    "diverged",
    "under-min-isr",
    "offline",
];

/// The states of a broker as `broker 1 = …` names them.
pub const BROKER_STATES: &[&str] = &["alive", "fenced", "dead", "frozen", "shutting-down"];

/// The states of a group by Kafka's names (ClassicGroupState, ConsumerGroupState).
pub const GROUP_STATES: &[&str] =
    &["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Assigning", "Reconciling"];

/// The valid word that a misspelt one was meant to be, if one is near enough. Of equally near
/// ones the first.
pub fn nearest<'a>(found: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = found.chars().count();
    if length > 80 {
        return None;
    }
    let limit = length.div_ceil(3);
    valid
        .into_iter()
        .filter(|word| word.chars().count().abs_diff(length) <= limit)
        .map(|word| (distance(found, word), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// `a`, `b` or `c`.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [rest @ .., last] => {
            let rest: Vec<String> = rest.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", rest.join(", "))
        }
    }
}

/// How many characters must be changed, added, left out or swapped with their neighbour (optimal
/// string alignment); the case of letters does not count.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_within_a_third_of_its_length() {
        assert_eq!(nearest("prodcue", VERBS.iter().copied()), Some("producer"));
        assert_eq!(nearest("expct", VERBS.iter().copied()), Some("expect"));
        assert_eq!(nearest("Kill", VERBS.iter().copied()), Some("kill"));
        assert_eq!(nearest("xyzzy", VERBS.iter().copied()), None);
        assert_eq!(nearest("", VERBS.iter().copied()), None);
    }
}
