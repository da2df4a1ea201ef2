//! Everything a person or a continuous integration runs. Each command sets up what it needs.

mod bench;
mod driver;
mod firefox;
mod page;
mod run;
mod screenshots;
mod serve;
mod server;
mod setup;
mod size;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, serves, tests and measures Highwater.")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the page and serve it on this machine.
    Serve(serve::Options),
    /// Run all tests, or only the steps named.
    Test(test::Options),
    /// Build the page into dist/, ready for any static host.
    Dist,
    /// Tell how large the page is, raw and compressed.
    Size,
    /// Measure the engine's speed and the page's frames.
    Bench(bench::Options),
    /// Take pictures of the page into target/screenshots/.
    Screenshots,
    /// Only set up the tools: the target, wasm-bindgen, wasm-opt and the browsers.
    Setup,
}

fn main() -> ExitCode {
    let result = match CommandLine::parse().command {
        Command::Serve(options) => serve::serve(&options),
        Command::Test(options) => test::test(&options),
        Command::Dist => page::build().map(|()| {
            println!("It is in {}", workspace::dist().display());
        }),
        Command::Size => size::size(),
        Command::Bench(options) => bench::bench(&options),
        Command::Screenshots => screenshots::screenshots(),
        Command::Setup => setup::all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\nerror: {problem:#}");
            ExitCode::FAILURE
        }
    }
}
