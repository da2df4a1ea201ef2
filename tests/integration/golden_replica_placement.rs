//! Every case of `replica_placement.json`: where Kafka's StripedReplicaPlacer puts replicas, with the
//! random numbers of Kafka's tests.

use highwater::kafka::controller::placement::{BrokerList, Draw, RackList, UsableBroker};
use highwater::wire::{BrokerId, str_bytes};
use serde_json::{Value, json};

/// Kafka's MockRandom: a linear congruential generator under java.util.Random's methods.
struct MockRandom {
    state: u64,
}

impl MockRandom {
    fn next(&mut self, bits: u32) -> i32 {
        self.state = self.state.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
        (self.state >> (64 - bits)) as i32
    }
}

impl Draw for MockRandom {
    fn below(&mut self, bound: u32) -> u32 {
        let bound = bound as i32;
        let mut drawn = self.next(31);
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(drawn)) >> 31) as u32;
        }
        loop {
            let result = drawn % bound;
            if (drawn - result).checked_add(bound - 1).is_some() {
                return result as u32;
            }
            drawn = self.next(31);
        }
    }
}

#[test]
fn golden_replica_placement() {
    let file: Value = serde_json::from_str(include_str!("../golden/replica_placement.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    let failures: Vec<String> = cases.iter().filter_map(|case| run(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn run(case: &Value) -> Result<(), String> {
    let name = case["name"].as_str().unwrap();
    let mut random = MockRandom { state: 17 };
    let usable = case["brokers"].as_array().into_iter().flatten().map(|broker| UsableBroker {
        id: BrokerId(broker["id"].as_i64().unwrap() as i32),
        rack: broker["rack"].as_str().map(str_bytes),
        fenced: broker["fenced"].as_bool().unwrap(),
    });
    let mut racks = RackList::new(usable, &mut random);
    let listed = case["broker_list"].as_array().into_iter().flatten();
    let offset = case["initial_offset"].as_u64().unwrap_or(0) as u32;
    let mut list = BrokerList::new(listed.map(|id| BrokerId(id.as_i64().unwrap() as i32)).collect(), offset);
    for (number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
        let found = match step["op"].as_str().unwrap() {
            "place" => match racks.place(step["replication_factor"].as_i64().unwrap() as i32, &mut random) {
                Ok(replicas) => json!({ "replicas": replicas.iter().map(|id| id.0).collect::<Vec<_>>() }),
                Err(message) => {
                    if case.get("error_message").is_some_and(|expected| *expected != message) {
                        return Err(format!("{name}: step {number}: the message is: {message}"));
                    }
                    json!({ "error": "INVALID_REPLICATION_FACTOR" })
                }
            },
            "broker_list_next" => {
                let epoch = step["epoch"].as_u64().unwrap() as u32;
                json!(list.next_in(epoch).map_or(-1, |broker| broker.0))
            }
            other => return Err(format!("{name}: unknown op {other}")),
        };
        if found != step["expect"] {
            return Err(format!("{name}: step {number}\n  expected {}\n  found    {found}", step["expect"]));
        }
    }
    Ok(())
}
