//! What a run has come to at an instant, in words and numbers that two futures can be compared by.

use serde::Serialize;

use crate::kafka::fact::brokers;
use crate::sim::World;
use crate::view::shares;

/// One figure of an outcome: `orders-0: leader`, `2`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    pub what: String,
    pub value: String,
}

/// A figure in which two futures differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub what: String,
    pub here: String,
    pub there: String,
}

/// Everything that futures are compared by, in the order in which it is told.
pub fn outcome(world: &World) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut tell = |what: String, value: String| figures.push(Figure { what, value });
    let ledger = world.ledger();
    tell("acknowledged records".to_string(), ledger.acked.to_string());
    tell("acknowledged and lost".to_string(), ledger.lost().to_string());
    tell("keys out of order".to_string(), ledger.reordered().to_string());
    for group in ledger.groups() {
        tell(format!("{group}: delivered more than once"), ledger.duplicated(&group).to_string());
        tell(format!("{group}: skipped"), ledger.skipped(&group).to_string());
    }
    for (name, producer) in world.producers() {
        tell(format!("{name}: failed sends"), producer.failed().values().sum::<u64>().to_string());
    }
    figures_of_readers(world, &mut tell);
    for (partition, registration) in world.partitions().filter(|(partition, _)| !partition.is_internal()) {
        let leader = registration.leader.map_or("none".to_string(), |leader| leader.0.to_string());
        tell(format!("{partition}: leader"), leader);
        tell(format!("{partition}: leader epoch"), registration.leader_epoch.to_string());
        tell(format!("{partition}: ISR"), brokers(&registration.isr));
        if let Some(log) = world.log_of(&partition, None) {
            tell(format!("{partition}: high watermark"), log.high_watermark().to_string());
            tell(format!("{partition}: log end"), log.log_end().to_string());
        }
        for replica in &registration.replicas {
            let end =
                world.log_of(&partition, Some(*replica)).map_or("–".to_string(), |log| log.log_end().to_string());
            tell(format!("{partition} on broker {}: log end", replica.0), end);
        }
    }
    figures
}

/// How far whoever belongs to no classic or consumer group has come: streams, and share groups (KIP-932).
fn figures_of_readers(world: &World, tell: &mut impl FnMut(String, String)) {
    for (name, _, stream) in world.streams() {
        tell(format!("{name}: records given to the sink"), stream.sink().count().to_string());
        tell(format!("{name}: of them again"), stream.sink().again().to_string());
        tell(format!("{name}: offsets passed over"), stream.passed_over().to_string());
    }
    for (name, _, consumer) in world.share_consumers() {
        tell(format!("{name}: records delivered"), consumer.delivered_count().to_string());
    }
    for group in world.group_names() {
        for (partition, start) in shares::starts(world, &group) {
            tell(format!("{partition} in {group}: start offset"), start.to_string());
        }
    }
}

impl Difference {
    /// The partition that it is about, and the broker if it is about one replica.
    pub fn place(&self) -> Option<(&str, Option<i32>)> {
        let (place, _) = self.what.split_once(": ")?;
        let (partition, broker) = match place.split_once(" on broker ") {
            Some((partition, broker)) => (partition, Some(broker.parse().ok()?)),
            None => (place, None),
        };
        let is_partition = partition.rsplit_once('-').is_some_and(|(_, number)| number.parse::<u32>().is_ok());
        is_partition.then_some((partition, broker))
    }
}

/// In what two outcomes differ; what only one of them has is missing in the other.
pub fn differences(here: &[Figure], there: &[Figure]) -> Vec<Difference> {
    let value = |figures: &[Figure], what: &str| {
        figures.iter().find(|figure| figure.what == what).map_or("–".to_string(), |figure| figure.value.clone())
    };
    let only_there = there.iter().filter(|figure| here.iter().all(|other| other.what != figure.what));
    let names = here.iter().chain(only_there).map(|figure| figure.what.clone());
    names
        .map(|what| Difference { here: value(here, &what), there: value(there, &what), what })
        .filter(|difference| difference.here != difference.there)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(what: &str, value: &str) -> Figure {
        Figure { what: what.to_string(), value: value.to_string() }
    }

    #[test]
    fn a_difference_has_its_place_on_the_stage() {
        let place = |what: &str| {
            let difference = Difference { what: what.to_string(), here: String::new(), there: String::new() };
            difference.place().map(|(partition, broker)| (partition.to_string(), broker))
        };
        assert_eq!(place("orders-0: leader"), Some(("orders-0".to_string(), None)));
        assert_eq!(place("my-topic-12 on broker 3: log end"), Some(("my-topic-12".to_string(), Some(3))));
        assert_eq!(place("billing: skipped"), None);
        assert_eq!(place("orders-0 in jobs: start offset"), None);
        assert_eq!(place("acknowledged and lost"), None);
    }

    #[test]
    fn only_what_differs_is_told_and_nothing_is_forgotten() {
        let here = [figure("leader", "2"), figure("ISR", "1,2")];
        let there = [figure("leader", "1"), figure("ISR", "1,2"), figure("lost", "3")];
        let told = differences(&here, &there);
        let told: Vec<_> = told.iter().map(|d| (d.what.as_str(), d.here.as_str(), d.there.as_str())).collect();
        assert_eq!(told, [("leader", "2", "1"), ("lost", "–", "3")]);
        assert!(differences(&here, &here).is_empty());
    }
}
