//! What the stage shows, asked of a history without a browser.

use highwater::history::History;
use highwater::scenario::script::Script;
use highwater::view::stage::{Focus, Projector};

const GROUP: &str = "cluster brokers=3 controllers=3 seed=5\ntopic orders\nproducer app linger.ms=0\n\
    consumer c1 group=billing topics=orders auto.offset.reset=earliest\n\
    until generation billing = 1 within 30s\n";

/// The state of the group on its card, and its generation, after some more of the script.
fn group(more: &str) -> (String, i32) {
    let script = Script::read(&format!("{GROUP}{more}")).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut history = History::open(script.into()).expect("the cluster settles");
    history.finish_script();
    assert!(history.head().checks().iter().all(|check| check.ok), "{:?}", history.head().checks());
    let stage = Projector::default().stage(&history, false, &Focus::default());
    let card = stage.groups.first().expect("there is a group");
    (card.state.clone(), card.generation)
}

#[test]
fn a_group_whose_coordinator_is_down_is_not_called_dead() {
    assert_eq!(group("wait 5s\n"), ("Stable".to_string(), 1));
    assert_eq!(group("kill broker coordinator:billing\n"), ("No coordinator".to_string(), 0));
}
