//! `highwater campaign`: random schedules of faults over many seeds, with every property checked after
//! every step. Each seed gives one script; the first that fails is printed, as short as it can be made.

pub mod case;
pub mod generate;
pub mod judge;
pub mod reduce;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant as Clock;

use crate::command::{Exit, load, planted};
use crate::history::Run;
use crate::kafka::config::Planted;
use crate::scenario::quantity;
use crate::time::{Duration, Instant};

use generate::{Kind, Plan};
use judge::{Outcome, run};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A scenario whose cluster, topics and traffic the faults hit; without, each seed draws its own:
    /// 3 or 5 brokers, an idempotent producer with acks=all, one with acks=1, sometimes one with
    /// transactions, a group of two consumers
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The seeds to try, the last one not included, such as 0..1000
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Range<u64>,
    /// The kinds of fault to choose from; each seed draws some of them. All but unclean
    /// elections and cancelled reassignments without it
    #[arg(long, value_name = "KIND,…", value_enum, value_delimiter = ',')]
    pub faults: Vec<Kind>,
    /// How much virtual time each seed takes: faults for two thirds of it; then everything heals and
    /// must get on
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "60s")]
    pub budget: Duration,
    /// How many threads run seeds; as many as the machine has cores without it. The result is the same
    #[arg(long, value_name = "N")]
    pub threads: Option<u32>,
    /// Goes on after a failure and names every seed that fails, without looking for a shorter script
    #[arg(long)]
    pub keep_going: bool,
    /// Prints the script of the first seed and runs nothing
    #[arg(long)]
    pub print: bool,
    /// Puts a bug into the engine, to check the checkers
    #[arg(long, value_name = "BUG", value_parser = planted, hide = true)]
    pub plant: Option<Planted>,
}

/// A seed that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub seed: u64,
    pub outcome: Outcome,
}

/// What a whole campaign came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds that were run and found clean.
    pub clean: u64,
    /// The virtual time of these.
    pub virtual_time: Duration,
    /// The lowest seed that failed, or with `keep_going` all, in order.
    pub found: Vec<Found>,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let read = |text: &str| text.parse::<u64>().ok();
    let range = text.split_once("..").and_then(|(from, to)| Some(read(from)?..read(to)?));
    range.filter(|range| !range.is_empty()).ok_or_else(|| "expected a range of seeds such as 0..1000".to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let found = quantity::duration(text).filter(|duration| *duration >= Duration::from_secs(1));
    found.ok_or_else(|| "expected a duration of a second or more, such as 60s or 5min".to_string())
}

pub fn execute(args: &Args, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let head = match args.file.as_ref().map(|file| head_of(file, err)).transpose() {
        Ok(head) => head,
        Err(exit) => return exit,
    };
    let kinds = if args.faults.is_empty() { Kind::USUAL.to_vec() } else { args.faults.clone() };
    let plan = Plan { kinds, budget: args.budget, head };
    if args.print {
        let _ = write!(out, "{}", generate::case(&plan, args.seeds.start).text());
        return Exit::Held;
    }
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let started = Clock::now();
    let threads = args.threads.unwrap_or(cores);
    let summary = campaign(&plan, args.seeds.clone(), threads, args.plant, args.keep_going);
    let seconds = started.elapsed().as_secs_f64().max(0.001);
    let virtual_seconds = summary.virtual_time.millis() as f64 / 1000.0;
    // What is printed beside a script is no part of it.
    let prints_a_script = !summary.found.is_empty() && !args.keep_going;
    let rate = format!(
        "{} seeds clean in {seconds:.1} s: {:.1} seeds/s, {:.0} virtual seconds/s",
        summary.clean,
        summary.clean as f64 / seconds,
        virtual_seconds / seconds
    );
    let _ = if prints_a_script { writeln!(err, "{rate}") } else { writeln!(out, "{rate}") };
    if args.keep_going {
        for found in &summary.found {
            let _ = writeln!(out, "seed {}: {}", found.seed, found.outcome.text());
        }
    }
    match summary.found.first() {
        None => Exit::Held,
        Some(found) if args.keep_going => exit_of(&found.outcome),
        Some(found) => report(&plan, found, args.plant, out, err),
    }
}

/// Prints the failure with the shortest script that shows it.
fn report(plan: &Plan, found: &Found, planted: Option<Planted>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let _ = writeln!(err, "Seed {} failed: {}", found.seed, found.outcome.text());
    let Some(failure) = found.outcome.failure() else { return Exit::Wrong };
    let case = reduce::reduce(&generate::case(plan, found.seed), &failure, planted);
    let again = run(&case, planted);
    let _ = writeln!(err, "The shortest script found that does the same: {}", again.text());
    let _ = write!(out, "{}", case.text());
    exit_of(&found.outcome)
}

fn exit_of(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Clean(_) => Exit::Held,
        Outcome::Stuck { .. } => Exit::Failed,
        Outcome::Refused(_) => Exit::Wrong,
        Outcome::Broken(_) | Outcome::Panicked(_) => Exit::Broken,
    }
}

/// Runs seeds on some threads until all are clean or the lowest one that fails is known.
pub fn campaign(plan: &Plan, seeds: Range<u64>, threads: u32, planted: Option<Planted>, keep_going: bool) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let stop_at = AtomicU64::new(seeds.end);
    let outcomes: Mutex<BTreeMap<u64, Outcome>> = Mutex::new(BTreeMap::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            // Whatever fails ends the campaign, but every lower seed is still run: the result does
            // not depend on who was faster.
            if seed >= stop_at.load(Ordering::Relaxed) {
                break;
            }
            let outcome = run(&generate::case(plan, seed), planted);
            if !keep_going && !matches!(outcome, Outcome::Clean(_)) {
                stop_at.fetch_min(seed, Ordering::Relaxed);
            }
            outcomes.lock().expect("no thread panics with the lock").insert(seed, outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut summary = Summary::default();
    for (seed, outcome) in outcomes.into_inner().expect("no thread panics with the lock") {
        match outcome {
            Outcome::Clean(took) => {
                summary.clean += 1;
                summary.virtual_time = summary.virtual_time + took;
            }
            outcome => {
                summary.found.push(Found { seed, outcome });
                if !keep_going {
                    break;
                }
            }
        }
    }
    summary
}

/// The lines of a scenario, and when it is through with them.
fn head_of(file: &std::path::Path, err: &mut dyn Write) -> Result<(Vec<String>, Instant), Exit> {
    let (text, script) = load(file, err)?;
    let mut run = Run::start(script.into(), None).map_err(|refused| {
        let _ = writeln!(err, "{}", refused.message);
        Exit::Wrong
    })?;
    run.finish(None, |_, _| {});
    Ok((text.lines().map(str::to_string).collect(), run.now() + Duration::from_millis(1)))
}
