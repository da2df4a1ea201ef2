//! `highwater run`: one scenario, one seed, one report.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;

use crate::command::{Exit, load, planted, transcript};
use crate::history::{Check, Run};
use crate::kafka::config::Planted;
use crate::scenario::quantity;
use crate::scenario::{Script, Statement};
use crate::sim::{Broken, Event};
use crate::time::{Duration, Instant};
use crate::view::guarantees::{guarantees, waiting};
use crate::view::report::{Extent, report};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The scenario file (.hw); - is the standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Runs with this seed instead of the script's own
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Runs for this much virtual time at least, such as 40ms, 2s or 5min, also past the last statement
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Leaves records and events out of the JSON
    #[arg(long)]
    pub brief: bool,
    /// Prints a hash of the whole final state: the same for the same text and seed on every machine
    #[arg(long)]
    pub digest: bool,
    /// Puts a bug into the engine, to check the checkers
    #[arg(long, value_name = "BUG", value_parser = planted, hide = true)]
    pub plant: Option<Planted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// What is to be run: all that the engine needs to know.
#[derive(Clone, Debug)]
pub struct Request {
    /// With the seed already replaced when the call named one.
    pub script: Script,
    pub seed: u64,
    /// The virtual time to reach at least, also past the last statement.
    pub duration: Duration,
    pub format: Format,
    pub brief: bool,
    pub digest: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    quantity::duration(text).ok_or_else(|| "expected a duration such as 40ms, 2s or 5min".to_string())
}

pub fn execute(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut script = match load(&args.file, err) {
        Ok((_, script)) => script,
        Err(exit) => return exit,
    };
    let seed = args.seed.unwrap_or(script.setup().seed);
    for line in &mut script.lines {
        if let Some(Statement::Cluster(setup)) = &mut line.statement {
            setup.seed = seed;
            setup.config.planted = args.plant;
        }
    }
    let duration = args.duration.unwrap_or(Duration::ZERO);
    let request = Request { script, seed, duration, format: args.format, brief: args.brief, digest: args.digest };
    engine(&request, out, err)
}

/// Runs the request, prints its result to `out`, and says how it went.
fn engine(request: &Request, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let mut run = match Run::start(Arc::new(request.script.clone()), Some(request.seed)) {
        Ok(run) => run,
        Err(refused) => {
            let _ = writeln!(err, "{}", refused.message);
            return Exit::Wrong;
        }
    };
    let mut events = Vec::new();
    let text = request.format == Format::Text;
    let end = Instant::ZERO + request.duration;
    run.finish(Some(end), |run, step| {
        for event in step.events {
            if text {
                let _ = transcript::line(run, &event, out);
            } else if !request.brief {
                events.push(event);
            }
        }
    });
    let printed = match request.format {
        Format::Text => print_text(&run, request, out),
        Format::Json => print_json(&run, &events, request, out),
    };
    if let Some(broken) = run.world.first_broken() {
        report_broken(broken, &request.script, request.seed, err);
        return Exit::Broken;
    }
    if printed.is_err() {
        // Whoever read the output has gone, such as `head`: nothing is wrong with the run.
        return Exit::Held;
    }
    if run.all_checks_hold() { Exit::Held } else { Exit::Failed }
}

/// A property of the engine broke: what, when, and how to see it again.
pub fn report_broken(broken: &Broken, script: &Script, seed: u64, err: &mut dyn Write) {
    let place = broken.partition.as_ref().map_or(String::new(), |partition| format!("{partition}: "));
    let property = broken.property;
    let _ = writeln!(err, "The engine broke its property {} at {}: {place}{}", property.name(), broken.at, broken.text);
    let _ =
        writeln!(err, "  {} ({}) Must hold {}.", property.sentence(), property.source(), property.holds().sentence());
    let _ = writeln!(err, "This is a bug in Highwater. Seed {seed}, script:\n{}", script.print());
}

fn print_text(run: &Run, request: &Request, out: &mut dyn Write) -> io::Result<()> {
    let kept: Vec<Check> = run.kept_always().collect();
    let mut checks: Vec<&Check> = run.checks().iter().chain(&kept).collect();
    checks.sort_by_key(|check| (check.at, check.line));
    if !checks.is_empty() {
        writeln!(out)?;
        transcript::checks(checks.into_iter(), out)?;
    }
    let answers = guarantees(&run.world, waiting(&run.world));
    writeln!(out)?;
    writeln!(out, "Was anything acknowledged and then lost?  {}", answers.lost.text)?;
    writeln!(out, "Did any key's order break?                {}", answers.order.text)?;
    for anomaly in &answers.anomalies {
        writeln!(out, "  {}: {}. {}", anomaly.word, anomaly.text, anomaly.prevented_by)?;
    }
    if request.digest {
        writeln!(out, "digest {}", run.world.digest())?;
    }
    Ok(())
}

fn print_json(run: &Run, events: &[Event], request: &Request, out: &mut dyn Write) -> io::Result<()> {
    let extent = Extent { brief: request.brief, digest: request.digest };
    let report = report(run, events, extent);
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}
