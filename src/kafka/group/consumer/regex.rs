//! Patterns of topics' names (KIP-848, SubscribedTopicRegex): whether one is an expression at all.
//! Kafka compiles them with RE2/J; here its grammar is only read.

use crate::wire::ErrorCode;

/// Refuses what is no regular expression (throwIfRegularExpressionIsInvalid).
pub(super) fn validate(pattern: &str) -> Result<(), ErrorCode> {
    let mut reader = Reader { rest: pattern.chars().collect(), at: 0 };
    let valid = reader.alternatives().is_some() && reader.at == reader.rest.len();
    if valid { Ok(()) } else { Err(ErrorCode::InvalidRegularExpression) }
}

struct Reader {
    rest: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// `a|b|c`, up to a closing parenthesis or the end. Groups are counted down a loop and not by
    /// calls, so that no pattern is too deep.
    fn alternatives(&mut self) -> Option<()> {
        let mut open = 0;
        let mut repeatable = false;
        while let Some(c) = self.peek() {
            self.at += 1;
            repeatable = match c {
                '(' => {
                    self.group_flags()?;
                    open += 1;
                    false
                }
                ')' if open == 0 => return None,
                ')' => {
                    open -= 1;
                    true
                }
                '|' => false,
                '*' | '+' | '?' => {
                    if !repeatable {
                        return None;
                    }
                    // Once more for the reluctant kind, and no further.
                    self.take('?');
                    false
                }
                '[' => self.class().map(|()| true)?,
                '\\' => self.escape().map(|()| true)?,
                _ => true,
            };
        }
        (open == 0).then_some(())
    }

    /// `(?:`, `(?i)`, `(?P<name>`: all that RE2 has after a question mark.
    fn group_flags(&mut self) -> Option<()> {
        if !self.take('?') {
            return Some(());
        }
        let end = self.rest[self.at..].iter().position(|c| matches!(c, ':' | ')' | '>'))?;
        let flags = &self.rest[self.at..self.at + end];
        let named = flags.first() == Some(&'P') || flags.first() == Some(&'<');
        let plain = flags.iter().all(|c| matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
        if !named && !plain {
            return None;
        }
        // A closing parenthesis ends the group, which is then empty.
        self.at += end + usize::from(self.rest[self.at + end] != ')');
        Some(())
    }

    /// `[a-z]`; a bracket right at its beginning stands for itself.
    fn class(&mut self) -> Option<()> {
        self.take('^');
        self.take(']');
        loop {
            let c = self.peek()?;
            self.at += 1;
            match c {
                ']' => return Some(()),
                '\\' => self.escape()?,
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        self.peek()?;
        self.at += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::validate;

    #[test]
    fn expressions_are_told_from_what_is_none() {
        for good in ["", ".*", "foo*|bar*", "(a|b)+?c", "[]a]", "(?i)orders-[0-9]+", "a\\.b", "(?:a)"] {
            assert!(validate(good).is_ok(), "{good}");
        }
        for bad in ["[", "*", "a**", "(a", "a)", "a\\", "(?x", "|*", "(?=a)"] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
