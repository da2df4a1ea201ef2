//! The scenario language.
pub mod check;
pub mod condition;
pub mod error;
pub mod lex;
pub mod link;
pub mod names;
pub mod parse;
pub mod print;
pub mod quantity;
pub mod script;
pub mod unsupported;
pub mod words;

pub use condition::{Condition, Observe, Verdict};
pub use error::{ScriptError, Span};
pub use names::{ClientKind, Names};
pub use script::{Ask, Line, Script, Statement, Stream};

#[cfg(test)]
mod tests;
