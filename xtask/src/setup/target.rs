//! The standard library for WebAssembly, which every build of the page needs.
//!
//! A person's machine gets it from rustup. Where rustup's server cannot be reached, it is built
//! once from sources of the very same version, and put where rustup would have put it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::debian::{self, Suite};
use super::{Turn, take_turn};
use crate::run::{self, announce, answer, cargo, on_path};
use crate::workspace;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// How long rustup may take before the other way is tried.
const PATIENCE_WITH_RUSTUP: Duration = Duration::from_secs(90);

/// Debian's suites that may package the sources of today's stable Rust.
const SUITES: [&str; 4] = ["trixie-backports", "testing", "unstable", "experimental"];

/// Debian's own matched trio of compiler, cargo and sources, newer than the rest of its suite.
const TRIO: [&str; 6] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "rust-web-clippy", "rustfmt-web"];

/// Beside a library that we built: which compiler it was built for.
const MADE_FOR: &str = "highwater-made-for";

/// Makes sure that `cargo build --target wasm32-unknown-unknown` finds its standard library.
pub fn ensure() -> Result<()> {
    let compiler = Compiler::of_this_machine()?;
    if compiler.has_library() {
        return Ok(());
    }
    let turn = take_turn()?;
    if compiler.has_library() {
        return Ok(());
    }
    announce(&format!("Getting the {TARGET} target for Rust {} (once per machine)", compiler.version));
    if let Err(problem) = add_with_rustup(&compiler) {
        println!("{problem:#}.\nBuilding the library from Debian's sources instead.");
        if let Err(problem) = build_from_sources(&compiler) {
            println!("{problem:#}.");
            continue_with_debians_rust(&compiler, turn)?;
        }
    }
    if !compiler.has_library() {
        bail!("{}", what_to_do(&compiler));
    }
    Ok(())
}

fn what_to_do(compiler: &Compiler) -> String {
    format!(
        "Rust's library for {TARGET} is missing, and neither rustup nor Debian's packages gave it.\n\
         With rustup: `rustup target add {TARGET}`.\n\
         With Rust from a distribution: install its package for WebAssembly \
         (for example libstd-rust-dev-wasm32 or rust-std-static-wasm32-unknown-unknown).\n\
         It belongs to Rust {} in {}.",
        compiler.version,
        compiler.library.display()
    )
}

struct Compiler {
    version: String,
    /// All that `rustc -vV` says: two compilers that differ here do not share libraries.
    identity: String,
    sysroot: PathBuf,
    /// Where the compiled library for WebAssembly belongs.
    library: PathBuf,
}

impl Compiler {
    fn of_this_machine() -> Result<Compiler> {
        let rustc = |arguments: &[&str]| {
            let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
            answer(Command::new(program).args(arguments))
        };
        let identity = rustc(&["-vV"])?;
        let version = identity
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .context("`rustc -vV` does not name its release")?
            .to_owned();
        Ok(Compiler {
            version,
            identity,
            sysroot: rustc(&["--print", "sysroot"])?.into(),
            library: rustc(&["--print", "target-libdir", "--target", TARGET])?.into(),
        })
    }

    fn has_library(&self) -> bool {
        let files: Vec<_> = match fs::read_dir(&self.library) {
            Ok(folder) => folder.flatten().map(|entry| entry.file_name()).collect(),
            Err(_) => return false,
        };
        let complete = ["libcore-", "libstd-", "libtest-"].iter().all(|start| {
            files.iter().any(|name| {
                let name = name.to_string_lossy();
                name.starts_with(start) && name.ends_with(".rlib")
            })
        });
        let fits = match fs::read_to_string(self.library.join(MADE_FOR)) {
            Ok(identity) => identity == self.identity,
            // Not made by us, so it came with the compiler.
            Err(_) => true,
        };
        complete && fits
    }
}

fn add_with_rustup(compiler: &Compiler) -> Result<()> {
    if on_path("rustup").is_none() {
        bail!("Rust was not installed with rustup");
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    run::visibly_within(&mut rustup, PATIENCE_WITH_RUSTUP)?;
    if !compiler.has_library() {
        bail!("rustup serves another compiler than the one in use");
    }
    Ok(())
}

/// Builds the library from the sources of the very same version and puts it into the sysroot.
fn build_from_sources(compiler: &Compiler) -> Result<()> {
    let scratch = workspace::tools().join("standard-library");
    fs::remove_dir_all(&scratch).ok();
    fs::create_dir_all(&scratch)?;
    let sources = Sources::put_in_place(compiler, &scratch);
    let built = sources.and_then(|_in_place| {
        build_library(&scratch)?;
        copy_library(compiler, &scratch)
    });
    fs::remove_dir_all(&scratch).ok();
    built
}

/// The library's sources where `-Zbuild-std` looks for them; removed again if we put them there.
struct Sources {
    ours: Option<PathBuf>,
}

impl Sources {
    fn put_in_place(compiler: &Compiler, scratch: &Path) -> Result<Sources> {
        let place = compiler.sysroot.join("lib/rustlib/src/rust/library");
        if place.join("Cargo.lock").is_file() {
            return Ok(Sources { ours: None });
        }
        let installed = PathBuf::from(format!("/usr/src/rustc-{}/library", compiler.version));
        let library = if installed.is_dir() { installed } else { debian_sources(&compiler.version, scratch)? };
        let parent = place.parent().context("the place has a parent")?;
        fs::create_dir_all(parent)
            .and_then(|()| copy_folder(&library, &place))
            .with_context(|| format!("cannot write into Rust's folder {}", compiler.sysroot.display()))?;
        Ok(Sources { ours: Some(place) })
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        if let Some(place) = &self.ours {
            fs::remove_dir_all(place).ok();
            // The folders above it go too, as long as nothing else is in them.
            for parent in place.ancestors().skip(1).take(2) {
                fs::remove_dir(parent).ok();
            }
        }
    }
}

/// Finds, downloads and unpacks Debian's package of the sources of this version.
fn debian_sources(version: &str, scratch: &Path) -> Result<PathBuf> {
    if on_path("apt-get").is_none() || on_path("dpkg").is_none() {
        bail!("this is not a Debian system");
    }
    for name in SUITES {
        let suite = match Suite::open(name, &scratch.join(name)) {
            Ok(suite) => suite,
            Err(problem) => {
                println!("{problem:#}; trying another suite.");
                continue;
            }
        };
        let same =
            |candidate: &String| candidate.strip_prefix(version).is_some_and(|rest| rest.starts_with(['+', '-', '~']));
        let Some(found) = suite.versions("rust-src").into_iter().find(same) else {
            println!("Debian's {name} does not have the sources of Rust {version}.");
            continue;
        };
        let unpacked = scratch.join("unpacked");
        suite.unpack("rust-src", &found, &unpacked)?;
        let library = unpacked.join(format!("usr/src/rustc-{version}/library"));
        if !library.is_dir() {
            bail!("Debian's package does not hold the library where it is expected");
        }
        return Ok(library);
    }
    bail!("none of Debian's suites has the sources of Rust {version}");
}

/// Compiles the library by building an empty package that needs all of it.
fn build_library(scratch: &Path) -> Result<()> {
    let package = scratch.join("empty");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n",
    )?;
    let mut build = cargo(["build", "--release", "--target", TARGET]);
    build
        .arg("-Zbuild-std=std,panic_abort,test")
        .current_dir(&package)
        .env("RUSTC_BOOTSTRAP", "1")
        // Without it, a later build with link-time optimization fails.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    run::visibly(&mut build)
}

fn copy_library(compiler: &Compiler, scratch: &Path) -> Result<()> {
    let built = scratch.join(format!("empty/target/{TARGET}/release/deps"));
    fs::remove_dir_all(&compiler.library).ok();
    fs::create_dir_all(&compiler.library)
        .with_context(|| format!("cannot write into Rust's folder {}", compiler.library.display()))?;
    for entry in fs::read_dir(&built)?.flatten() {
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        if shown.ends_with(".rlib") && !shown.starts_with("libempty") {
            fs::copy(entry.path(), compiler.library.join(&name))?;
        }
    }
    fs::write(compiler.library.join(MADE_FOR), &compiler.identity)?;
    // What was built against another library does not fit this one.
    fs::remove_dir_all(workspace::target().join(TARGET)).ok();
    Ok(())
}

/// The last resort: Debian's own Rust, whose sources are packaged with it. The same command is
/// run again with that compiler, which then builds its library as above.
fn continue_with_debians_rust(compiler: &Compiler, turn: Turn) -> Result<()> {
    let own_cargo = Path::new("/usr/bin/cargo");
    let already = compiler.sysroot == Path::new("/usr");
    if already || !debian::can_install() {
        bail!("{}", what_to_do(compiler));
    }
    println!("Installing Debian's own Rust and going on with that.");
    if let Err(problem) = install_trio() {
        bail!("{problem:#}.\n{}", what_to_do(compiler));
    }
    let mut path = std::ffi::OsString::from("/usr/bin:");
    path.push(env::var_os("PATH").unwrap_or_default());
    let mut again = Command::new(own_cargo);
    again.arg("xtask").args(env::args_os().skip(1)).current_dir(workspace::root()).env("PATH", path);
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        again.env_remove(variable);
    }
    drop(turn);
    let status = again.status().context("Debian's cargo cannot be started")?;
    exit(status.code().unwrap_or(1));
}

fn install_trio() -> Result<()> {
    debian::install(&TRIO)?;
    // The linker for WebAssembly comes separately, in the version of the compiler's LLVM.
    let about = answer(Command::new("/usr/bin/rustc").arg("-vV"))?;
    let llvm = about
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .and_then(|version| version.split('.').next())
        .context("Debian's compiler does not name its version of LLVM")?;
    debian::install(&[&format!("lld-{llvm}")])
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if fs::metadata(entry.path())?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
