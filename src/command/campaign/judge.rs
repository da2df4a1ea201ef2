//! Running a case and saying what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::command::campaign::case::Case;
use crate::history::Run;
use crate::kafka::config::Planted;
use crate::scenario::{Script, Statement};
use crate::sim::{Broken, Property};
use crate::time::{Duration, Instant};

/// What a case came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing broke, and the healed cluster got on. How much virtual time it took.
    Clean(Duration),
    /// A property of the engine broke.
    Broken(Broken),
    /// The healed cluster did not get on: the check that failed, and what held instead.
    Stuck { check: String, actual: String, at: Instant },
    /// The engine panicked.
    Panicked(String),
    /// The script cannot be run at all.
    Refused(String),
}

/// What makes two failures the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    Broken(Property),
    Stuck(String),
    Panicked(String),
}

impl Outcome {
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Outcome::Clean(_) | Outcome::Refused(_) => None,
            Outcome::Broken(broken) => Some(Failure::Broken(broken.property)),
            Outcome::Stuck { check, .. } => Some(Failure::Stuck(check.clone())),
            Outcome::Panicked(message) => Some(Failure::Panicked(message.clone())),
        }
    }

    pub fn text(&self) -> String {
        match self {
            Outcome::Clean(took) => format!("clean in {took} of virtual time"),
            Outcome::Broken(broken) => {
                let place = broken.partition.as_ref().map_or(String::new(), |partition| format!("{partition}: "));
                format!("property {} broke at {}: {place}{}", broken.property.name(), broken.at, broken.text)
            }
            Outcome::Stuck { check, actual, at } => format!("no progress by {at}: {check} — but {actual}"),
            Outcome::Panicked(message) => format!("the engine panicked: {message}"),
            Outcome::Refused(reason) => format!("the script cannot run: {reason}"),
        }
    }
}

/// Runs the case; with a planted bug, its cluster has that.
pub fn run(case: &Case, planted: Option<Planted>) -> Outcome {
    let text = case.text();
    let mut script = match Script::read(&text) {
        Ok(script) => script,
        Err(errors) => return Outcome::Refused(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    for line in &mut script.lines {
        if let Some(Statement::Cluster(setup)) = &mut line.statement {
            setup.config.planted = planted;
        }
    }
    match catch_unwind(AssertUnwindSafe(|| finish(script, case.heals))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            Outcome::Panicked(text.unwrap_or_default())
        }
    }
}

fn finish(script: Script, heals: bool) -> Outcome {
    let mut run = match Run::start(Arc::new(script), None) {
        Ok(run) => run,
        Err(refused) => return Outcome::Refused(refused.message),
    };
    run.finish(None, |_, _| {});
    if let Some(broken) = run.world.first_broken() {
        return Outcome::Broken(broken.clone());
    }
    // A request that Kafka refuses is part of the game; a condition that fails is not.
    let conditions = ["until ", "expect ", "always "];
    let failed = run.checks().iter().find(|check| !check.ok && conditions.iter().any(|c| check.text.starts_with(c)));
    if let Some(check) = failed {
        return Outcome::Stuck { check: check.text.clone(), actual: check.actual.clone(), at: check.at };
    }
    let at_rest = run.world.properties().filter(|_| heals).map(|properties| properties.at_rest(&run.world));
    match at_rest.into_iter().flatten().next() {
        Some(broken) => Outcome::Broken(broken),
        None => Outcome::Clean(run.world.now - Instant::ZERO),
    }
}
