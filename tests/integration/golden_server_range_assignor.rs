//! The coordinator's range assignor, as Kafka's own class answered.

use highwater::kafka::group::assignor::Assignor;

use crate::golden::run_file;
use crate::golden_uniform_assignor::check_server_assignor;

#[test]
fn golden_server_range_assignor() {
    run_file(include_str!("../golden/server_range_assignor.json"), |case| {
        check_server_assignor(&Assignor::Range, case)
    });
}
