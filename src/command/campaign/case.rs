//! One case of a campaign: a cluster with traffic, faults at their instants, then everything healed and
//! progress demanded. It is an ordinary script, so a case that fails can be run, read and shared.

use crate::scenario::{ClientKind, Script, Statement};
use crate::sim::action::Action;
use crate::sorted::SortedSet;
use crate::time::{Duration, Instant};

/// A fault, some time after the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub after: Duration,
    pub line: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub seed: u64,
    /// The cluster, its topics and clients, and their traffic.
    pub head: Vec<String>,
    /// When the head is done and the first fault's time is counted from.
    pub begin: Instant,
    pub faults: Vec<Fault>,
    /// How long after the last fault, or after `begin`, everything heals.
    pub heal_after: Duration,
    /// Whether the script goes on to healing and progress; without, the faults alone break it.
    pub heals: bool,
}

/// How long the healed cluster has for each thing that must come to be: longer than any timeout that
/// may have to run out first.
const PATIENCE: &str = "5min";

impl Case {
    /// The script as text.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("# Campaign, seed {}.", self.seed)];
        lines.extend(self.head.iter().cloned());
        let mut at = self.begin;
        let mut written = None;
        for fault in &self.faults {
            at += fault.after;
            if written != Some(at) {
                lines.push(format!("at {}", instant(at)));
                written = Some(at);
            }
            lines.push(fault.line.clone());
        }
        at += self.heal_after;
        lines.push(format!("at {}", instant(at)));
        if self.heals {
            lines.extend(healing(&self.head));
        }
        lines.join("\n") + "\n"
    }
}

/// Everything runs and reaches everything; then what must come to be.
fn healing(head: &[String]) -> Vec<String> {
    // A head that was changed by the reduction may be wrong: then nobody runs it.
    let Ok(script) = Script::read(&head.join("\n")) else { return Vec::new() };
    let names = script.names();
    let mut lines = vec!["heal".to_string()];
    for controller in &names.controllers {
        lines.push(format!("thaw controller c{controller}"));
        lines.push(format!("start controller c{controller}"));
    }
    for broker in &names.brokers {
        lines.push(format!("disk {broker} latency=0ms"));
        lines.push(format!("thaw broker {broker}"));
        lines.push(format!("start broker {broker}"));
    }
    // Who was stopping when it was to start has to end first.
    for broker in &names.brokers {
        lines.push(format!("until broker {broker} != shutting-down within {PATIENCE}"));
        lines.push(format!("start broker {broker}"));
    }
    for (name, kind) in &names.clients {
        lines.push(format!("thaw {} {name}", kind.word()));
        lines.push(format!("start {} {name}", kind.word()));
    }
    lines.push(format!("until offline = 0 and under-replicated = 0 within {PATIENCE}"));
    for name in names.clients_of(ClientKind::ShareConsumer) {
        // Its poll() fails when the state of what it reads cannot be had for long.
        lines.push(format!("start share-consumer {name}"));
    }
    for producer in &names.transactional {
        // Whatever it left open, or whoever fenced it: a new one ends that.
        lines.push(format!("kill producer {producer}"));
        lines.push(format!("start producer {producer}"));
        lines.push(format!("until transaction {producer} = READY within {PATIENCE}"));
    }
    for producer in names.clients_of(ClientKind::Producer) {
        lines.push(format!("until pending {producer} = 0 within {PATIENCE}"));
    }
    for group in groups_that_go_on(&script) {
        lines.push(format!("until lag {group} = 0 within {PATIENCE}"));
    }
    // As long as somebody acknowledges, the share-group state is written.
    let sharing: Vec<&str> = names.clients_of(ClientKind::ShareConsumer).collect();
    lines.extend(sharing.iter().map(|name| format!("close {name}")));
    lines.extend((!sharing.is_empty()).then(|| "wait 10s".to_string()));
    lines.push(format!("until offline = 0 and under-replicated = 0 and diverged = 0 within {PATIENCE}"));
    lines
}

/// The groups whose members read on without anybody's help: not those that wait for acknowledgements.
fn groups_that_go_on(script: &Script) -> SortedSet<String> {
    let acts = script.lines.iter().filter_map(|line| match &line.statement {
        Some(Statement::Act(action)) => Some(action),
        _ => None,
    });
    let group = |action: &Action| match action {
        Action::AddConsumer { group, .. } => Some(group.clone()),
        Action::AddShareConsumer { group, configs, .. } => {
            let explicit = configs.get("share.acknowledgement.mode").is_some_and(|mode| mode == "explicit");
            (!explicit).then(|| group.clone())
        }
        _ => None,
    };
    acts.filter_map(group).collect()
}

/// An instant as a script writes it.
fn instant(at: Instant) -> String {
    format!("{}us", at.0)
}
