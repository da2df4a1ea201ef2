//! Where things are: in the repository, and in the person's cache.

use std::env;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// What a designer edits: `index.html`, styles, icons, the service worker.
pub fn www() -> PathBuf {
    root().join("www")
}

/// The lessons' scripts, which the page fetches one by one.
pub fn lessons() -> PathBuf {
    root().join("src/lesson")
}

/// The finished page, ready for any static host.
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Where tools are installed once per person, so that a fresh clone starts fast.
/// `HIGHWATER_TOOLS` names another folder.
pub fn tools() -> PathBuf {
    if let Some(folder) = folder_in("HIGHWATER_TOOLS") {
        return root().join(folder);
    }
    let cache = folder_in("XDG_CACHE_HOME").or_else(|| folder_in("LOCALAPPDATA"));
    let cache = cache.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    match cache {
        Some(cache) => cache.join("highwater").join("tools"),
        None => target().join("tools"),
    }
}

fn folder_in(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
