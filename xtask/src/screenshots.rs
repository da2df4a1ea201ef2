//! `cargo xtask screenshots`: how the page looks, in every size and theme that is promised.

use std::fs;

use anyhow::Result;

use crate::driver::Stage;
use crate::page;
use crate::run::announce;
use crate::workspace;

pub fn screenshots() -> Result<()> {
    page::build()?;
    announce("Taking screenshots");
    let folder = workspace::target().join("screenshots");
    fs::remove_dir_all(&folder).ok();
    Stage::set()?.run(&["screenshots::"])?;
    println!("The screenshots are in {}", folder.display());
    Ok(())
}
