//! The arguments of one statement, taken one after the other; what is wrong with them is gathered.

use crate::kafka::config::{Configs, Problem, Scope, SettingError, names};
use crate::scenario::condition::parse::{broker_id, partition};
use crate::scenario::error::{ScriptError, Span};
use crate::scenario::lex::Word;
use crate::scenario::names::Names;
use crate::scenario::quantity;
use crate::scenario::words::one_of;
use crate::sorted::SortedMap;
use crate::time::Duration;
use crate::wire::{BrokerId, TopicPartition};

pub struct Args<'a> {
    words: &'a [Word],
    at: usize,
    /// Just behind the last word.
    pub end: Span,
    pub names: &'a Names,
    options: Vec<Opt>,
    /// Names of options that this statement has been asked for.
    asked: Vec<&'static str>,
    pub errors: Vec<ScriptError>,
}

/// An option as it was written: `name=value`.
#[derive(Clone, Debug)]
struct Opt {
    name: String,
    name_span: Span,
    value: Word,
    taken: bool,
}

impl<'a> Args<'a> {
    /// `words` without the verb.
    pub fn new(words: &'a [Word], end: Span, names: &'a Names) -> Args<'a> {
        Args { words, at: 0, end, names, options: Vec::new(), asked: Vec::new(), errors: Vec::new() }
    }

    pub fn fail<T>(&mut self, error: ScriptError) -> Option<T> {
        self.errors.push(error);
        None
    }

    pub fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.at)
    }

    /// What has not been taken yet.
    pub fn rest(&mut self) -> &'a [Word] {
        let rest = &self.words[self.at..];
        self.at = self.words.len();
        rest
    }

    /// The words before the first option.
    pub fn words_before_options(&mut self) -> &'a [Word] {
        let rest = &self.words[self.at..];
        let count = rest.iter().take_while(|word| word.split_once("=").is_none()).count();
        self.at += count;
        &rest[..count]
    }

    pub fn word(&mut self, expected: &str) -> Option<&'a Word> {
        match self.peek() {
            Some(word) => {
                self.at += 1;
                Some(word)
            }
            None => self.fail(ScriptError::expected(self.end, expected, "")),
        }
    }

    /// A word that is not an option.
    fn plain(&mut self, expected: &str) -> Option<&'a Word> {
        match self.peek() {
            Some(word) if word.split_once("=").is_some() => {
                self.fail(ScriptError::expected(word.span, expected, &word.text()))
            }
            _ => self.word(expected),
        }
    }

    /// One of these words.
    pub fn keyword(&mut self, valid: &[&'static str]) -> Option<&'static str> {
        let word = self.plain(&one_of(valid))?;
        match valid.iter().find(|keyword| word.is(keyword)) {
            Some(keyword) => Some(keyword),
            None => {
                let error = ScriptError::expected(word.span, one_of(valid), &word.text());
                self.fail(error.or_nearest(valid.iter().copied()))
            }
        }
    }

    /// A text that is not empty.
    pub fn text(&mut self, expected: &str) -> Option<String> {
        let word = self.plain(expected)?;
        self.non_empty(word, expected)
    }

    pub fn non_empty(&mut self, word: &Word, expected: &str) -> Option<String> {
        match word.text() {
            text if text.is_empty() => self.fail(ScriptError::expected(word.span, expected, "\"\"")),
            text => Some(text),
        }
    }

    /// A client's name: it must not look like a broker, and `cut` must be able to name it.
    pub fn client(&mut self, kind: &str) -> Option<String> {
        let expected = format!("the name of a {kind}");
        let word = self.plain(&expected)?;
        let text = word.text();
        let letters = text.chars().next().is_some_and(char::is_alphabetic);
        let allowed = |c: char| c.is_alphanumeric() || c == '.' || c == '_' || c == '-';
        if !letters || !text.chars().all(allowed) || text.contains("->") || ["none", "active"].contains(&text.as_str())
        {
            let message = format!(
                "`{text}` cannot name a {kind}: a name begins with a letter and has letters, digits, `.`, `_` and `-` only"
            );
            return self.fail(ScriptError::because(word.span, &text, message));
        }
        Some(text)
    }

    pub fn partition(&mut self) -> Option<TopicPartition> {
        let word = self.plain("a partition such as `orders-0`")?;
        match partition(word) {
            Ok(partition) => Some(partition),
            Err(error) => self.fail(error),
        }
    }

    pub fn duration(&mut self) -> Option<Duration> {
        let word = self.plain("a duration such as `40ms`")?;
        self.read(word, "a duration such as `40ms`, `2s` or `5min`", quantity::duration)
    }

    /// Reads a word by `read`, or says what was expected.
    pub fn read<T>(&mut self, word: &Word, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = word.text();
        match read(&text) {
            Some(value) => Some(value),
            None => self.fail(ScriptError::expected(word.span, expected, &text)),
        }
    }

    /// Takes the rest as options; what is none of them is an error.
    pub fn options(&mut self) -> Option<()> {
        let mut good = true;
        while let Some(word) = self.peek() {
            self.at += 1;
            let Some((name, value)) = word.split_once("=") else {
                let error = ScriptError::expected(word.span, "an option written `name=value`", &word.text());
                let message = format!("{}; a value with spaces is quoted", error.message);
                self.errors.push(ScriptError { message, ..error });
                good = false;
                continue;
            };
            let text = name.text();
            if self.options.iter().any(|option| option.name == text) {
                self.errors.push(ScriptError::because(name.span, &text, format!("`{text}` is given twice")));
                good = false;
                continue;
            }
            self.options.push(Opt { name: text, name_span: name.span, value, taken: false });
        }
        good.then_some(())
    }

    /// The value of an option.
    pub fn option(&mut self, name: &'static str) -> Option<Word> {
        self.asked.push(name);
        let option = self.options.iter_mut().find(|option| option.name == name)?;
        option.taken = true;
        Some(option.value.clone())
    }

    /// The value of an option as `read` reads it. The outer `None`: it is wrong.
    pub fn option_as<T>(
        &mut self,
        name: &'static str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.option(name) {
            None => Some(None),
            Some(word) => self.read(&word, expected, read).map(Some),
        }
    }

    pub fn required(&mut self, name: &'static str, expected: &str) -> Option<Word> {
        match self.option(name) {
            Some(word) => Some(word),
            None => self.fail(ScriptError::expected(self.end, format!("`{name}=…`, {expected}"), "")),
        }
    }

    /// Options of the form `prefixNAME=value`.
    pub fn prefixed(&mut self, prefix: &str) -> Vec<(String, Word)> {
        let mut found = Vec::new();
        for option in self.options.iter_mut().filter(|option| !option.taken) {
            if let Some(rest) = option.name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
                option.taken = true;
                found.push((rest.to_string(), option.value.clone()));
            }
        }
        found
    }

    /// Every option that nobody has taken, as settings of Kafka's.
    pub fn configs(&mut self) -> Configs {
        let mut configs = SortedMap::new();
        for option in self.options.iter_mut().filter(|option| !option.taken) {
            option.taken = true;
            configs.insert(option.name.clone(), option.value.text());
        }
        configs
    }

    /// Whether the value of an option was left out or not even quoted: `name=`.
    pub fn is_bare(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.name == name && option.value.is_empty())
    }

    /// Says where settings are wrong: at the value, or at the name when that is wrong.
    pub fn settings(&mut self, scope: Scope, errors: Vec<SettingError>) {
        for error in errors {
            let option = self.options.iter().find(|option| option.name == error.name);
            let (name_span, value) =
                option.map_or((self.end, None), |option| (option.name_span, Some(option.value.clone())));
            let message = error.to_string();
            self.errors.push(match (&error.problem, value) {
                (Problem::Refused(_), Some(value)) if !value.is_empty() => {
                    ScriptError::because(value.span, &value.text(), message)
                }
                (Problem::Unknown(_), _) => {
                    let valid: Vec<&str> = self.asked.iter().copied().chain(names(scope)).collect();
                    ScriptError { message, ..ScriptError::unknown(name_span, "setting", &error.name, valid) }
                }
                _ => ScriptError::because(name_span, &error.name, message),
            });
        }
    }

    /// Nothing may be left over, and nothing may have gone wrong.
    pub fn finish<T>(&mut self, statement: T) -> Option<T> {
        while let Some(word) = self.peek() {
            self.at += 1;
            self.errors.push(ScriptError::expected(word.span, "the end of the line", &word.text()));
        }
        let unknown: Vec<Opt> = self.options.iter().filter(|option| !option.taken).cloned().collect();
        for option in unknown {
            let asked = self.asked.iter().copied();
            self.errors.push(ScriptError::unknown(option.name_span, "option", &option.name, asked));
        }
        self.errors.is_empty().then_some(statement)
    }

    /// Items between commas, each read by `read`.
    pub fn list<T>(&mut self, word: &Word, expected: &str, mut read: impl FnMut(&Word) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        for item in word.split(",") {
            match read(&item) {
                Some(value) => items.push(value),
                None => {
                    let found = item.text();
                    let error = ScriptError::expected(item.span, expected, if found.is_empty() { "," } else { &found });
                    self.errors.push(error);
                    return None;
                }
            }
        }
        Some(items)
    }

    /// Brokers by number: `2,3,4`.
    pub fn brokers(&mut self, word: &Word) -> Option<Vec<BrokerId>> {
        self.list(word, "brokers such as `2,3,4`", |item| broker_id(&item.text()))
    }
}

/// A whole number of at least `least`.
pub fn at_least<T: std::str::FromStr + PartialOrd>(least: T) -> impl FnOnce(&str) -> Option<T> {
    move |text| text.parse().ok().filter(|number| *number >= least)
}

/// A whole number of this range.
pub fn between<T: std::str::FromStr + PartialOrd>(least: T, most: T) -> impl FnOnce(&str) -> Option<T> {
    move |text| text.parse().ok().filter(|number| *number >= least && *number <= most)
}
