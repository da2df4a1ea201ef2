//! `cargo xtask bench`: how fast the engine computes and the page draws.

use anyhow::Result;
use clap::Args;

use crate::driver::Stage;
use crate::run::{self, announce, cargo};
use crate::size;

#[derive(Args)]
pub struct Options {
    /// Measure only the page's frames.
    #[arg(long)]
    page_only: bool,
    /// Handed to the benchmarks, such as a part of a name.
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub fn bench(options: &Options) -> Result<()> {
    if !options.page_only {
        announce("Benchmarks of the engine");
        let mut benches = cargo(["bench", "--package", "highwater", "--bench", "engine"]);
        run::visibly(benches.arg("--").args(&options.arguments))?;
    }
    size::size()?;
    announce("Frames of the page");
    Stage::set()?.run(&["frames::"])
}
