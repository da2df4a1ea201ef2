//! The links that nothing gets through, and how one of several cuts is healed.

use crate::kafka::fact::Names;
use crate::sim::World;
use crate::sorted::SortedSet;
use crate::wire::NodeId;

/// A link that is cut, each once: by a cut between sides, or because it loses everything.
pub fn cut(world: &World) -> SortedSet<(NodeId, NodeId)> {
    let network = world.network();
    let of_cuts = network.cuts().iter().flat_map(|sides| across(sides));
    let lossy = network.bent_links().filter(|(_, link)| link.loss_percent >= 100).map(|(ends, _)| in_order(*ends));
    of_cuts.chain(lossy).collect()
}

/// The links between different sides.
fn across(sides: &[SortedSet<NodeId>]) -> Vec<(NodeId, NodeId)> {
    let mut links = Vec::new();
    for (index, side) in sides.iter().enumerate() {
        for other in &sides[index + 1..] {
            links.extend(side.iter().flat_map(|a| other.iter().map(|b| in_order((*a, *b)))));
        }
    }
    links
}

fn in_order((a, b): (NodeId, NodeId)) -> (NodeId, NodeId) {
    if a < b { (a, b) } else { (b, a) }
}

/// How a script calls a client, which may have a controller's name.
pub fn client(name: &str) -> String {
    let like_a_controller = name.strip_prefix('c').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    if like_a_controller { format!("client:{name}") } else { name.to_string() }
}

/// The lines of a script after which this link works again, and every other is as it is now.
pub fn healed(world: &World, healed: (NodeId, NodeId)) -> Vec<String> {
    let (network, healed) = (world.network(), in_order(healed));
    let word = |node: &NodeId| match node {
        NodeId::Broker(broker) => broker.0.to_string(),
        NodeId::Controller(controller) => controller.to_string(),
        NodeId::Client(_) => client(&world.node(*node)),
    };
    let mut lines = vec!["heal".to_string()];
    for sides in network.cuts() {
        let links = across(sides);
        if links.contains(&healed) {
            let others = links.iter().filter(|link| **link != healed);
            lines.extend(others.map(|(a, b)| format!("cut {} | {}", word(a), word(b))));
        } else {
            let names = |side: &SortedSet<NodeId>| side.iter().map(word).collect::<Vec<_>>().join(",");
            lines.push(format!("cut {}", sides.iter().map(names).collect::<Vec<_>>().join(" | ")));
        }
    }
    for ((from, to), link) in network.bent_links() {
        if link.loss_percent >= 100 && in_order((*from, *to)) == healed {
            continue;
        }
        let (from, to) = (word(from), word(to));
        let (latency, jitter, loss) = (link.latency.0, link.jitter.0, link.loss_percent);
        lines.push(format!("link {from}->{to} latency={latency}us jitter={jitter}us loss={loss}%"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::history::History;
    use crate::scenario::script::Script;
    use crate::wire::{BrokerId, ControllerId};

    fn after(lines: &[String]) -> History {
        let text = format!("cluster brokers=3 controllers=3\n{}\nwait 1ms\n", lines.join("\n"));
        let script = Script::read(&text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        let mut history = History::open(Arc::new(script)).expect("the cluster settles");
        history.finish_script();
        assert!(history.head().all_checks_hold(), "{text}");
        history
    }

    #[test]
    fn a_healed_link_leaves_every_other_cut_as_it_is() {
        let (one, two) = (NodeId::Broker(BrokerId(1)), NodeId::Broker(BrokerId(2)));
        let lines = ["cut 1,c1 | 2,3", "link 1->3 latency=300ms", "link c1<->c2 loss=100%"].map(str::to_string);
        let history = after(&lines);
        let before = cut(history.world());
        assert_eq!(before.len(), 5, "1–2, 1–3, c1–2, c1–3, c1–c2");

        let again = after(&healed(history.world(), (two, one)));
        let mut expected = before.clone();
        assert!(expected.remove(&(one, two)));
        assert_eq!(cut(again.world()), expected);
        let three = NodeId::Broker(BrokerId(3));
        assert_eq!(again.world().network().link(one, three), history.world().network().link(one, three));

        let controllers = [1, 2].map(|id| NodeId::Controller(ControllerId(id)));
        let again = after(&healed(history.world(), (controllers[0], controllers[1])));
        assert!(!cut(again.world()).contains(&(controllers[0], controllers[1])));
        assert_eq!(cut(again.world()).len(), 4);
    }
}
