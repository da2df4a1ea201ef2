//! What goes wrong with nodes and with the network between them.

use crate::scenario::error::ScriptError;
use crate::scenario::lex::Word;
use crate::scenario::names::ClientKind;
use crate::scenario::parse::args::Args;
use crate::scenario::parse::{broker_ref, controller_ref, node_ref};
use crate::scenario::quantity;
use crate::scenario::script::Statement;
use crate::sim::action::{Action, NodeRef};
use crate::wire::ApiKey;

/// What may stand after `kill`, `start`, `freeze` and `thaw`.
const ANY: &[&str] = &["broker", "controller", "consumer", "producer", "share-consumer", "stream"];
const SERVERS: &[&str] = &["broker", "controller"];

/// A kind and a name: `broker 1`, `controller active`, `consumer c1`.
fn target(a: &mut Args<'_>, kinds: &[&'static str]) -> Option<NodeRef> {
    let kind = a.keyword(kinds)?;
    if let Some(kind) = ClientKind::parse(kind) {
        return a.client(kind.word()).map(NodeRef::Client);
    }
    let word = a.word(&format!("a {kind}"))?;
    let node = match kind {
        "broker" => broker_ref(word).map(NodeRef::Broker),
        _ => controller_ref(word).map(NodeRef::Controller),
    };
    match node {
        Ok(node) => Some(node),
        Err(error) => a.fail(error),
    }
}

pub fn kill(a: &mut Args<'_>) -> Option<Statement> {
    let action = match target(a, ANY)? {
        NodeRef::Client(name) => Action::KillClient { name },
        node => Action::Kill(node),
    };
    a.finish(Statement::Act(action))
}

pub fn start(a: &mut Args<'_>) -> Option<Statement> {
    let action = match target(a, ANY)? {
        NodeRef::Client(name) => Action::StartClient { name },
        node => Action::Start(node),
    };
    a.finish(Statement::Act(action))
}

pub fn stop(a: &mut Args<'_>) -> Option<Statement> {
    let node = target(a, SERVERS)?;
    a.finish(Statement::Act(Action::Stop(node)))
}

pub fn power_off(a: &mut Args<'_>) -> Option<Statement> {
    let node = target(a, SERVERS)?;
    a.finish(Statement::Act(Action::PowerOff(node)))
}

pub fn wipe(a: &mut Args<'_>) -> Option<Statement> {
    let node = target(a, SERVERS)?;
    a.finish(Statement::Act(Action::Wipe(node)))
}

pub fn freeze(a: &mut Args<'_>) -> Option<Statement> {
    let node = target(a, ANY)?;
    a.finish(Statement::Act(Action::Freeze(node)))
}

pub fn thaw(a: &mut Args<'_>) -> Option<Statement> {
    let node = target(a, ANY)?;
    a.finish(Statement::Act(Action::Thaw(node)))
}

fn node(a: &mut Args<'_>, word: &Word) -> Option<NodeRef> {
    match node_ref(word, a.names) {
        Ok(node) => Some(node),
        Err(error) => a.fail(error),
    }
}

pub fn cut(a: &mut Args<'_>) -> Option<Statement> {
    let Some(all) = Word::join(a.rest()) else {
        return a.fail(ScriptError::expected(a.end, "sides such as `1,c1 | 2,3,c2,c3`", ""));
    };
    let mut sides: Vec<Vec<NodeRef>> = Vec::new();
    for side in all.split("|") {
        let mut nodes = Vec::new();
        for item in side.split(",") {
            let node = node(a, &item)?;
            if nodes.contains(&node) || sides.iter().flatten().any(|other| *other == node) {
                let found = item.text();
                return a.fail(ScriptError::because(item.span, &found, format!("`{found}` is named twice")));
            }
            nodes.push(node);
        }
        sides.push(nodes);
    }
    if sides.len() < 2 {
        return a.fail(ScriptError::expected(a.end, "`|` and another side", ""));
    }
    a.finish(Statement::Act(Action::Cut { sides }))
}

pub fn heal(a: &mut Args<'_>) -> Option<Statement> {
    a.finish(Statement::Act(Action::Heal))
}

/// `1->2`, or `1<->2` for both directions.
fn direction(a: &mut Args<'_>, words: &[Word], both_allowed: bool) -> Option<(NodeRef, NodeRef, bool)> {
    let expected = if both_allowed { "a link such as `1->2` or `1<->2`" } else { "a direction such as `2->1`" };
    let Some(all) = Word::join(words) else {
        return a.fail(ScriptError::expected(a.end, expected, ""));
    };
    let both = all.split_once("<->").filter(|_| both_allowed);
    let one = all.split_once("->");
    let (from, to, both) = match (both, one) {
        (Some((from, to)), _) => (from, to, true),
        (None, Some((from, to))) => (from, to, false),
        (None, None) => return a.fail(ScriptError::expected(all.span, expected, &all.text())),
    };
    let (from, to) = (node(a, &from), node(a, &to));
    let (from, to) = (from?, to?);
    if from == to {
        return a.fail(ScriptError::because(all.span, &all.text(), "a link is between two different nodes"));
    }
    Some((from, to, both))
}

pub fn link(a: &mut Args<'_>) -> Option<Statement> {
    let words = a.words_before_options();
    let ends = direction(a, words, true);
    a.options();
    let latency = a.option_as("latency", "a duration such as `300ms`", quantity::duration);
    let jitter = a.option_as("jitter", "a duration such as `50ms`", quantity::duration);
    let loss = a.option_as("loss", "a percentage from `0%` to `100%`", |text| {
        text.strip_suffix('%')?.parse::<u32>().ok().filter(|percent| *percent <= 100)
    });
    let ((from, to, both), latency, jitter, loss_percent) = (ends?, latency?, jitter?, loss?);
    if latency.is_none() && jitter.is_none() && loss_percent.is_none() {
        return a.fail(ScriptError::expected(a.end, "`latency=…`, `jitter=…` or `loss=…`", ""));
    }
    a.finish(Statement::Act(Action::Link { from, to, both, latency, jitter, loss_percent }))
}

/// A message as `drop`, `delay` and `duplicate` choose it.
struct Chosen {
    api: ApiKey,
    response: bool,
    from: NodeRef,
    to: NodeRef,
}

/// `next FETCH 2->1`, or `next FETCH response 1->2`.
fn next_message(a: &mut Args<'_>) -> Option<Chosen> {
    a.keyword(&["next"])?;
    let word = a.word("a request such as `FETCH`")?;
    let Some(api) = ApiKey::parse(&word.text()) else {
        let valid = ApiKey::ALL.iter().map(|api| api.name());
        return a.fail(ScriptError::unknown(word.span, "request", &word.text(), valid));
    };
    let response = a.peek().is_some_and(|word| word.is("response"));
    if response || a.peek().is_some_and(|word| word.is("request")) {
        a.word("")?;
    }
    let words = a.words_before_options();
    let (from, to, _) = direction(a, words, false)?;
    Some(Chosen { api, response, from, to })
}

pub fn drop_next(a: &mut Args<'_>) -> Option<Statement> {
    let Chosen { api, response, from, to } = next_message(a)?;
    a.finish(Statement::Act(Action::DropNext { api, response, from, to }))
}

pub fn delay_next(a: &mut Args<'_>) -> Option<Statement> {
    let Chosen { api, response, from, to } = next_message(a)?;
    a.options();
    let word = a.required("by", "a duration such as `300ms`")?;
    let by = a.read(&word, "a duration such as `300ms`", quantity::duration)?;
    a.finish(Statement::Act(Action::DelayNext { api, response, from, to, by }))
}

pub fn duplicate_next(a: &mut Args<'_>) -> Option<Statement> {
    let Chosen { api, response, from, to } = next_message(a)?;
    a.finish(Statement::Act(Action::DuplicateNext { api, response, from, to }))
}

/// `disk 1 latency=50ms`.
pub fn disk(a: &mut Args<'_>) -> Option<Statement> {
    let word = a.word("a broker such as `1` or `leader:orders-0`")?;
    let broker = match broker_ref(word) {
        Ok(broker) => broker,
        Err(error) => return a.fail(error),
    };
    a.options();
    let word = a.required("latency", "a duration such as `50ms`")?;
    let latency = a.read(&word, "a duration such as `50ms`", quantity::duration)?;
    a.finish(Statement::Act(Action::SlowDisk { broker, latency }))
}
