//! What has to be on the machine before anything can be built or tested.
//!
//! Each part first looks whether what it needs is there, then gets it in the gentlest way, and
//! otherwise says what a person has to do.

pub mod axe;
pub mod bindgen;
pub mod browser;
pub mod debian;
pub mod firefox;
pub mod optimizer;
pub mod target;

use std::fs::{self, File, TryLockError};

use anyhow::{Context, Result};

use crate::workspace;

/// Held while something is being installed, so that two set-ups on one machine do not mix.
pub struct Turn {
    _file: File,
}

/// Waits until no other set-up is running.
pub fn take_turn() -> Result<Turn> {
    let folder = workspace::tools();
    fs::create_dir_all(&folder).with_context(|| {
        format!("cannot create the folder for tools, {}; name another one in HIGHWATER_TOOLS", folder.display())
    })?;
    let file = File::create(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("Another set-up is running on this machine; waiting for it to finish.");
            file.lock()?;
        }
        // A file system without locks: go on alone.
        Err(TryLockError::Error(_)) => {}
    }
    Ok(Turn { _file: file })
}

/// Gets everything that building and testing needs, and says what there is.
pub fn all() -> Result<()> {
    target::ensure()?;
    println!("target: {}", target::TARGET);
    let bindgen = bindgen::ensure()?;
    println!("wasm-bindgen: {}", bindgen.version);
    if let Some(optimizer) = optimizer::ensure() {
        println!("wasm-opt: {}", optimizer.version);
    }
    println!("browser: {}", browser::ensure()?.version());
    println!("second browser: {}", firefox::version(&firefox::ensure()?));
    Ok(())
}
