//! Building the page: compile, bind to JavaScript, shrink, put beside what a designer edits.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::run::{self, announce, cargo};
use crate::setup::bindgen::{self, Bindgen};
use crate::setup::optimizer::{self, Optimizer};
use crate::setup::target::{self, TARGET};
use crate::workspace::{self, dist, lessons, www};

/// The list of files that the service worker keeps for use without a network.
const PRECACHE: &str = "precache.js";

/// Builds the page into `dist/`, setting up what that needs. Whatever is up to date is kept.
pub fn build() -> Result<()> {
    let started = Instant::now();
    target::ensure()?;
    let bindgen = bindgen::ensure()?;
    let optimizer = optimizer::ensure();

    announce("Building the page");
    let module = compile()?;
    let bound = bind(&module, &bindgen, optimizer.as_ref())?;
    assemble(&bound)?;
    println!("The page is built ({:.1} s).", started.elapsed().as_secs_f32());
    Ok(())
}

fn compile() -> Result<PathBuf> {
    let mut build = cargo(["build", "--profile", "page", "--target", TARGET, "--bin", "page"]);
    build.env("CARGO_ENCODED_RUSTFLAGS", without_local_paths());
    run::visibly(&mut build)?;
    let module = workspace::target().join(TARGET).join("page").join("page.wasm");
    if !module.is_file() {
        bail!("cargo did not build {}", module.display());
    }
    Ok(module)
}

/// Compiler flags that keep this machine's folders out of what everybody downloads.
fn without_local_paths() -> String {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let mut folders = vec![(workspace::root().to_owned(), "highwater")];
    // Where a path fits several of these, the compiler takes the last.
    if let Some(cargo_home) = cargo_home {
        let registries = fs::read_dir(cargo_home.join("registry").join("src"));
        let mut registries: Vec<_> =
            registries.into_iter().flatten().flatten().map(|entry| (entry.path(), "crates")).collect();
        registries.sort();
        folders.push((cargo_home, "cargo"));
        folders.extend(registries);
    }
    let flags: Vec<_> =
        folders.into_iter().map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display())).collect();
    flags.join("\u{1f}")
}

/// Makes `page.js` and `page_bg.wasm`, unless they were already made from this very module.
fn bind(module: &Path, bindgen: &Bindgen, optimizer: Option<&Optimizer>) -> Result<PathBuf> {
    // Not `target/page`, which is cargo's own folder for the profile of that name.
    let folder = workspace::target().join("bound-page");
    let bound = folder.join("files");
    let stamp = folder.join("stamp");
    let made_from = {
        let mut hasher = DefaultHasher::new();
        fs::read(module)?.hash(&mut hasher);
        bindgen.version.hash(&mut hasher);
        optimizer.map(|tool| &tool.version).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == made_from) {
        return Ok(bound);
    }
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&bound)?;
    let mut command = Command::new(&bindgen.program);
    command.args(["--target", "web", "--no-typescript", "--out-name", "page"]).arg("--out-dir").arg(&bound);
    if optimizer.is_none() {
        command.args(["--remove-name-section", "--remove-producers-section"]);
    }
    run::visibly(command.arg(module))?;
    if let Some(optimizer) = optimizer {
        shrink(&bound.join("page_bg.wasm"), optimizer)?;
    }
    fs::write(stamp, made_from)?;
    Ok(bound)
}

fn shrink(module: &Path, optimizer: &Optimizer) -> Result<()> {
    let smaller = module.with_extension("smaller");
    match optimizer.shrink(module, &smaller) {
        Ok(()) => fs::rename(smaller, module)?,
        // An optimizer that does not understand the module must not stand in the way.
        Err(problem) => println!("Note: {problem:#}; the page works, but is larger."),
    }
    Ok(())
}

/// Puts everything into `dist/` and lists it for the service worker.
fn assemble(bound: &Path) -> Result<()> {
    if !www().join("index.html").is_file() {
        bail!("www/index.html is missing: it is the page's shell");
    }
    let mut files = BTreeMap::new();
    for folder in [&www(), bound] {
        for name in files_in(folder)? {
            files.insert(name.clone(), fs::read(folder.join(&name))?);
        }
    }
    for name in files_in(&lessons())?.into_iter().filter(|name| name.ends_with(".hw")) {
        files.insert(format!("lessons/{name}"), fs::read(lessons().join(&name))?);
    }
    let precache = precache(&files);
    files.insert(PRECACHE.to_owned(), precache.into_bytes());

    let dist = dist();
    fs::create_dir_all(&dist)?;
    for name in files_in(&dist)? {
        if !files.contains_key(&name) {
            fs::remove_file(dist.join(&name))?;
        }
    }
    for (name, contents) in &files {
        let path = dist.join(name);
        if fs::read(&path).is_ok_and(|old| old == *contents) {
            continue;
        }
        fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        fs::write(path, contents)?;
    }
    Ok(())
}

/// A script that tells the service worker what to keep, under a name that changes with it.
fn precache(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    let mut text = String::from("// Written by `cargo xtask dist`.\n");
    text.push_str(&format!("self.VERSION = \"{:016x}\";\n", hasher.finish()));
    text.push_str("self.PRECACHE = [\n");
    for name in files.keys().filter(|name| *name != "sw.js") {
        text.push_str(&format!("  \"./{name}\",\n"));
    }
    text.push_str("];\n");
    text
}

/// The files in a folder and below, as relative paths with forward slashes; hidden ones are not
/// part of the page.
pub fn files_in(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read the folder {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let name = format!("{prefix}{name}");
            if entry.path().is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offline_list_names_every_file_and_changes_with_any_of_them() {
        let mut files = BTreeMap::new();
        files.insert("index.html".to_owned(), b"one".to_vec());
        files.insert("sw.js".to_owned(), b"worker".to_vec());
        let before = precache(&files);
        assert!(before.contains("\"./index.html\""), "{before}");
        assert!(!before.contains("sw.js"), "the worker cannot keep itself: {before}");
        files.insert("index.html".to_owned(), b"two".to_vec());
        assert_ne!(before, precache(&files));
    }
}
