//! Round-robin as Kafka's own class answered.

use highwater::kafka::client::assignor::Assignor;

use crate::golden_range_assignor::check_assignor;

#[test]
fn golden_roundrobin_assignor() {
    check_assignor(Assignor::RoundRobin, include_str!("../golden/roundrobin_assignor.json"));
}
