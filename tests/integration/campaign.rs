//! Campaigns: random schedules of faults find no broken property in the engine, and find each of six
//! bugs that are planted to check the checkers.

use highwater::command::campaign::generate::{Kind, Plan, case};
use highwater::command::campaign::judge::{Failure, Outcome, run};
use highwater::command::campaign::{campaign, reduce};
use highwater::history::Run;
use highwater::kafka::config::Planted;
use highwater::scenario::Script;
use highwater::sim::{Broken, Property};
use highwater::time::Duration;

const SEEDS_TO_FIND_A_BUG: u64 = 2_000;

fn plan(kinds: &[Kind], seconds: i64) -> Plan {
    Plan { kinds: kinds.to_vec(), budget: Duration::from_secs(seconds), head: None }
}

/// The first of the seeds in which the bug breaks a property, with what it broke. That a cluster with a
/// bug does not get on is no wonder, and says little.
fn found(planted: Planted, kinds: &[Kind], seeds: u64) -> (u64, Broken) {
    for from in (0..seeds).step_by(20) {
        let summary = campaign(&plan(kinds, 60), from..from + 20, 2, Some(planted), true);
        for found in summary.found {
            if let Outcome::Broken(broken) = found.outcome {
                return (found.seed, broken);
            }
        }
    }
    panic!("{planted:?} was not found within {seeds} seeds")
}

#[test]
fn a_small_campaign_is_clean() {
    let summary = campaign(&plan(&Kind::USUAL, 60), 0..30, 2, None, false);
    let found: Vec<String> =
        summary.found.iter().map(|found| format!("seed {}: {}", found.seed, found.outcome.text())).collect();
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(summary.clean, 30);
}

#[test]
fn a_small_campaign_with_transactions_is_clean() {
    let mut kinds = Kind::USUAL.to_vec();
    // As often as all the faults together.
    kinds.extend([Kind::Transaction; 13]);
    let summary = campaign(&plan(&kinds, 60), 0..20, 2, None, false);
    let found: Vec<String> =
        summary.found.iter().map(|found| format!("seed {}: {}", found.seed, found.outcome.text())).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn unclean_elections_break_promises_and_no_property() {
    let mut kinds = Kind::USUAL.to_vec();
    kinds.push(Kind::Unclean);
    let summary = campaign(&plan(&kinds, 30), 1_000..1_010, 2, None, false);
    assert_eq!(summary.found, [], "an unclean election is an excuse, not a bug");
}

#[test]
fn a_case_is_a_script_and_the_same_for_its_seed() {
    for seed in 0..50 {
        let plan = plan(&Kind::USUAL, 60);
        let text = case(&plan, seed).text();
        assert_eq!(text, case(&plan, seed).text());
        let errors = Script::read(&text).err().unwrap_or_default();
        assert!(errors.is_empty(), "seed {seed}: {errors:?}\n{text}");
    }
}

#[test]
fn the_outcome_does_not_depend_on_the_threads() {
    let plan = plan(&Kind::USUAL, 20);
    let with = |threads| campaign(&plan, 0..40, threads, Some(Planted::ElectOutsideIsr), false);
    let (one, three) = (with(1), with(3));
    assert!(!one.found.is_empty());
    assert_eq!((one.clean, one.virtual_time, one.found), (three.clean, three.virtual_time, three.found));
}

/// Each planted bug with the kinds of fault that bring it out, and what must be said of it.
#[test]
fn every_planted_bug_is_found() {
    let all: &[(Planted, &[Kind], &[Property])] = &[
        (
            Planted::TruncateToHighWatermark,
            &[Kind::Kill, Kind::Elect, Kind::Stop],
            &[Property::TruncationSafety, Property::StrongIsr, Property::LeaderCompleteness],
        ),
        (
            Planted::IgnoreEpochsOnFetch,
            &[Kind::Cut, Kind::Kill, Kind::Freeze],
            &[Property::CommittedPrefixAgrees, Property::SameEpochSameRecords, Property::HighWatermarkJustified],
        ),
        (Planted::HighWatermarkFromAnyReplica, &[Kind::Cut, Kind::Link], &[Property::HighWatermarkJustified]),
        (Planted::ElectOutsideIsr, &[Kind::Kill, Kind::Cut], &[Property::LeaderInIsr]),
        (Planted::AcknowledgeEarly, &[Kind::Link], &[Property::AcknowledgedIsCommitted]),
        (Planted::FencedReplicaInIsr, &[Kind::Cut], &[Property::FencedNotInIsr]),
        (Planted::ConfirmUnwrittenAcknowledgements, &[Kind::Share, Kind::Kill], &[Property::AcknowledgedIsDone]),
    ];
    assert_eq!(all.map_planted(), Planted::ALL);
    for (planted, kinds, properties) in all {
        let (seed, broken) = found(*planted, kinds, SEEDS_TO_FIND_A_BUG);
        assert!(properties.contains(&broken.property), "{planted:?}, seed {seed}: {}", Outcome::Broken(broken).text());
    }
}

trait MapPlanted {
    fn map_planted(&self) -> Vec<Planted>;
}

impl MapPlanted for [(Planted, &[Kind], &[Property])] {
    fn map_planted(&self) -> Vec<Planted> {
        self.iter().map(|(planted, _, _)| *planted).collect()
    }
}

#[test]
fn a_failing_case_is_reduced_to_a_short_script_that_fails_the_same_way() {
    let planted = Some(Planted::ElectOutsideIsr);
    let plan = plan(&[Kind::Kill, Kind::Cut], 60);
    let seed = campaign(&plan, 0..100, 2, planted, false).found[0].seed;
    let long = case(&plan, seed);
    let failure = Failure::Broken(Property::LeaderInIsr);
    let short = reduce::reduce(&long, &failure, planted);
    assert_eq!(run(&short, planted).failure(), Some(failure));
    assert!(short.faults.len() <= 6 && short.faults.len() < long.faults.len(), "{}", short.text());
    assert!(matches!(run(&short, None), Outcome::Clean(_)), "without the bug nothing is wrong with it");
}

#[test]
fn the_observers_change_nothing() {
    let script = std::sync::Arc::new(Script::read(&case(&plan(&Kind::USUAL, 30), 7).text()).expect("a case may run"));
    let digest = |watched: bool| {
        let mut run = Run::start(script.clone(), None).expect("the case's cluster settles");
        if !watched {
            run.world.stop_watching();
        }
        run.finish(None, |_, _| {});
        run.world.stop_watching();
        run.world.digest()
    };
    assert_eq!(digest(true), digest(false));
}
