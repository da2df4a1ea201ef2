//! The native command. WebAssembly has no command line, so there it does nothing.

fn main() {}
