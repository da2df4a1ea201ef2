//! The cooperative sticky assignor: the target fulfils what Kafka's does, and what still has a
//! holder is withheld from its next one.

use std::collections::BTreeSet;

use highwater::kafka::client::assignor::Assignor;
use highwater::kafka::client::assignor::sticky::Kind;
use highwater::wire::TopicPartition;

use crate::golden::{self, only};
use crate::golden_sticky_assignor::{
    as_sets, check_properties, read_assignment, read_group, read_partitions, same_answers,
};

#[test]
fn golden_cooperative_sticky() {
    golden::run_file(include_str!("../golden/cooperative_sticky.json"), |case| {
        only(
            case,
            &[
                "name",
                "test",
                "topics",
                "members",
                "assignment",
                "target_assignment_before_withholding",
                "withheld_until_revoked",
                "expected_properties",
            ],
        )?;
        let group = read_group(case, Kind::Cooperative)?;
        let target = group.target(Kind::Cooperative);
        check_properties(case, &group, &target.assignment)?;
        let mut expected = as_sets(&target.assignment);
        for (member, list) in &mut expected {
            let held_by_another =
                |p: &TopicPartition| group.held.iter().any(|(other, held)| other != member && held.contains(p));
            let own = &group.held[member];
            // What two members claim from one generation is neither's, and may go to one of them anew.
            list.retain(|p| !held_by_another(p) || own.contains(p) && !target.moving.contains_key(p));
        }
        let got = as_sets(&Assignor::CooperativeSticky.assign(&group.topics, &group.members));
        if got != expected {
            return Err(format!("hands out {got:?} of {:?}", target.assignment));
        }
        // Where the target is Kafka's own, what is handed out and what is withheld must be so too.
        if as_sets(&target.assignment) == read_assignment(&case["target_assignment_before_withholding"]) {
            let withheld: BTreeSet<TopicPartition> =
                read_partitions(&case["withheld_until_revoked"]).into_iter().collect();
            if withheld != target.moving.keys().cloned().collect() || got != read_assignment(&case["assignment"]) {
                return Err(format!("withholds {:?}", target.moving));
            }
        }
        Ok(())
    });
}

#[test]
fn golden_cooperative_sticky_mostly_to_the_letter() {
    let text = include_str!("../golden/cooperative_sticky.json");
    let (same, all) = same_answers(text, Kind::Cooperative, "target_assignment_before_withholding");
    assert!(same * 20 >= all * 19, "{same} of {all}");
}
