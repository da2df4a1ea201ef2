//! What is wrong in a person's text: where, what was found, what was expected, and the nearest
//! valid word.

use std::fmt;

use crate::scenario::words;

/// A stretch of one line. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    pub line: u32,
    pub column: u32,
    pub length: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    pub span: Span,
    /// The reason without the nearest word.
    pub message: String,
    pub found: String,
    pub expected: String,
    pub nearest: Option<String>,
}

impl ScriptError {
    /// Something else stands where `expected` should.
    pub fn expected(span: Span, expected: impl Into<String>, found: &str) -> ScriptError {
        let expected = expected.into();
        let message = if found.is_empty() {
            format!("expected {expected}, found the end of the line")
        } else {
            format!("expected {expected}, found `{}`", shorten(found))
        };
        ScriptError { span, message, found: found.to_string(), expected, nearest: None }
    }

    /// A word of a kind that there is not: `unknown verb`.
    pub fn unknown<'a>(span: Span, kind: &str, found: &str, valid: impl IntoIterator<Item = &'a str>) -> ScriptError {
        let valid: Vec<&str> = valid.into_iter().collect();
        let nearest = words::nearest(found, valid.iter().copied()).map(str::to_string);
        let mut message = format!("unknown {kind} `{}`", shorten(found));
        if nearest.is_none() && !valid.is_empty() {
            let (some, such) = if valid.len() <= 8 { (&valid[..], "") } else { (&valid[..4], "one such as ") };
            message = format!("{message}; expected {such}{}", words::one_of(some));
        }
        ScriptError { span, message, found: found.to_string(), expected: words::one_of(&valid), nearest }
    }

    /// A reason in words of its own, such as Kafka's.
    pub fn because(span: Span, found: &str, message: impl Into<String>) -> ScriptError {
        let message = message.into();
        ScriptError { span, expected: String::new(), found: found.to_string(), message, nearest: None }
    }

    pub fn or_nearest<'a>(mut self, valid: impl IntoIterator<Item = &'a str>) -> ScriptError {
        self.nearest = words::nearest(&self.found, valid).map(str::to_string);
        self
    }
}

impl ScriptError {
    /// Of a line that stands alone, such as one that somebody types: `column 1: unknown verb `prodcue`; did you …`.
    pub fn in_a_single_line(&self) -> String {
        format!("column {}: {}", self.span.column, self.message_and_nearest())
    }

    fn message_and_nearest(&self) -> String {
        let nearest = self.nearest.iter().map(|nearest| format!("; did you mean `{nearest}`?"));
        nearest.fold(self.message.clone(), |message, nearest| message + &nearest)
    }
}

impl fmt::Display for ScriptError {
    /// `3:1: unknown verb `prodcue`; did you mean `producer`?`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.span.line, self.span.column, self.message_and_nearest())
    }
}

/// A found text as an error shows it: not longer than a person wants to read.
fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN + 1).collect();
    if clean.chars().count() <= SHOWN { clean } else { clean.chars().take(SHOWN).chain("…".chars()).collect() }
}
