//! `cargo xtask serve`: the page, at an address of this machine.

use std::process::Command;
use std::thread;

use anyhow::Result;
use clap::Args;

use crate::page;
use crate::server::Server;
use crate::workspace::{dist, www};

/// Tried first, so that the address stays the same.
const USUAL_PORT: u16 = 8080;

#[derive(Args)]
pub struct Options {
    /// Open the page in the browser.
    #[arg(long)]
    open: bool,
    /// The port to serve at; without it the first free one from 8080 on.
    #[arg(long)]
    port: Option<u16>,
}

pub fn serve(options: &Options) -> Result<()> {
    page::build()?;
    let server = match options.port {
        Some(port) => start(port)?,
        None => start_at_a_free_port()?,
    };
    println!("\nHighwater is at {}", server.address());
    println!("A change in www/ shows after a reload; after a change in src/ start this again.");
    println!("Stop with Ctrl-C.");
    if options.open {
        open(&server.address());
    }
    loop {
        thread::park();
    }
}

fn start(port: u16) -> Result<Server> {
    // What a designer edits comes first, so that it shows without building.
    Server::start(vec![www(), dist()], "/", port)
}

fn start_at_a_free_port() -> Result<Server> {
    (USUAL_PORT..USUAL_PORT + 20).find_map(|port| start(port).ok()).map_or_else(|| start(0), Ok)
}

fn open(address: &str) {
    let mut command = if cfg!(target_os = "macos") {
        Command::new("open")
    } else if cfg!(windows) {
        Command::new("explorer")
    } else {
        Command::new("xdg-open")
    };
    if command.arg(address).spawn().is_err() {
        println!("No browser could be opened; go to the address above.");
    }
}
