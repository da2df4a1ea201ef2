//! The native command: everything is in [`highwater::command`].

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    std::process::exit(highwater::command::main());
}

#[cfg(target_arch = "wasm32")]
fn main() {}
