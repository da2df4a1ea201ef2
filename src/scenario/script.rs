//! A script as a value: its lines with what each asks for.

use crate::kafka::config::BrokerConfig;
use crate::scenario::condition::Condition;
use crate::scenario::error::{ScriptError, Span};
use crate::scenario::names::{ClientKind, Names};
use crate::scenario::{check, parse, print};
use crate::sim::action::{Action, BrokerRef, ClusterSetup};
use crate::sorted::SortedMap;
use crate::time::{Duration, Instant};

/// A script: the lines of its text, blank ones and comments included.
///
/// Two scripts are equal when their lines say the same; where the words stood on the line is no
/// part of it. So `parse(print(s)) == s`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Script {
    pub lines: Vec<Line>,
}

#[derive(Clone, Debug)]
pub struct Line {
    /// From 1.
    pub number: u32,
    /// As it was written.
    pub source: String,
    /// `None`: blank, or a comment only.
    pub statement: Option<Statement>,
    /// The word before a client's name in `kill consumer c1`; only printing needs it.
    pub client_kind: Option<ClientKind>,
    /// What follows the `#`.
    pub comment: Option<String>,
}

/// What one line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Cluster(Box<ClusterSetup>),
    /// Something to do to the running cluster now.
    Act(Action),
    Wait(Duration),
    At(Instant),
    Until {
        condition: Condition,
        within: Duration,
    },
    Expect(Condition),
    Always(Condition),
    /// The caption from here on.
    Prose(String),
    /// A named part of a lesson begins.
    Step(String),
    Ask(Ask),
    /// What the reader is to bring about now; what follows in the part is one way to do it.
    Goal(Condition),
}

/// A question to the learner, answered by the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    pub question: String,
    /// A choice, or a role that is resolved when the answer is revealed.
    pub answer: String,
    pub choices: Vec<String>,
}

impl Ask {
    /// The role that the answer names, such as `leader:orders-0`.
    pub fn role(&self) -> Option<BrokerRef> {
        parse::role(&self.answer)
    }
}

impl Script {
    /// Parses and checks a text: a script that may run, or every error in the order of the text.
    pub fn read(text: &str) -> Result<Script, Vec<ScriptError>> {
        let (script, mut errors) = parse::parse(text);
        errors.extend(check::check(&script));
        errors.sort_by_key(|error| error.span);
        if errors.is_empty() { Ok(script) } else { Err(errors) }
    }

    /// Parses a text without asking whether its lines fit together.
    pub fn parse(text: &str) -> Result<Script, Vec<ScriptError>> {
        let (script, errors) = parse::parse(text);
        if errors.is_empty() { Ok(script) } else { Err(errors) }
    }

    /// Everything that is wrong with how the lines fit together.
    pub fn check(&self) -> Vec<ScriptError> {
        check::check(self)
    }

    /// The canonical text.
    pub fn print(&self) -> String {
        print::script(self)
    }

    /// The cluster that the script asks for; the default one when it does not say.
    pub fn setup(&self) -> ClusterSetup {
        self.statements()
            .find_map(|(_, statement)| match statement {
                Statement::Cluster(setup) => Some(ClusterSetup::clone(setup)),
                _ => None,
            })
            .unwrap_or_else(default_cluster)
    }

    /// The lines that say something.
    pub fn statements(&self) -> impl Iterator<Item = (&Line, &Statement)> {
        self.lines.iter().filter_map(|line| Some((line, line.statement.as_ref()?)))
    }

    /// What the script has named: the context of a line that is added to it.
    pub fn names(&self) -> Names {
        Names::of(self)
    }

    /// Adds a typed line, read in the context of what the script has named so far. It is not added
    /// when anything is wrong with it.
    pub fn push_text(&mut self, text: &str) -> Result<&Line, Vec<ScriptError>> {
        let number = self.lines.len() as u32 + 1;
        let line = check::line(text, number, &self.names())?;
        self.lines.push(line);
        Ok(&self.lines[self.lines.len() - 1])
    }

    /// Adds a statement, such as a click; the text is made from it.
    pub fn push(&mut self, statement: Statement) -> &Line {
        let client_kind = statement.client().and_then(|name| self.names().clients.get(name).copied());
        let mut line = Line {
            number: self.lines.len() as u32 + 1,
            source: String::new(),
            statement: Some(statement),
            client_kind,
            comment: None,
        };
        line.source = line.text();
        self.lines.push(line);
        &self.lines[self.lines.len() - 1]
    }
}

impl Line {
    /// The canonical text of its statement, without the comment.
    pub fn text(&self) -> String {
        match &self.statement {
            Some(statement) => print::statement(statement, self.client_kind),
            None => String::new(),
        }
    }

    /// Whether it moves time on by itself.
    pub fn lets_time_pass(&self) -> bool {
        matches!(self.statement, Some(Statement::Wait(_) | Statement::At(_) | Statement::Until { .. }))
    }

    /// Where a text stands in the line as it was written, as a whole word if it can be; else the line.
    pub fn span_of(&self, text: &str) -> Span {
        let source: Vec<char> = self.source.chars().collect();
        let wanted: Vec<char> = text.chars().collect();
        let joins = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == '.' || *c == '_' || *c == '-');
        let found: Vec<usize> = if wanted.is_empty() || wanted.len() > source.len() {
            Vec::new()
        } else {
            (0..=source.len() - wanted.len()).filter(|i| source[*i..].starts_with(&wanted)).collect()
        };
        let whole = |i: &&usize| {
            let before = i.checked_sub(1).and_then(|before| source.get(before));
            !joins(before) && !joins(source.get(**i + wanted.len()))
        };
        // The verb may be spelt like a name: a later place goes first.
        let verb_end = source.iter().take_while(|c| c.is_whitespace()).count() + 1;
        let place = found.iter().filter(whole).find(|i| **i >= verb_end).or_else(|| found.iter().find(whole));
        match place.or(found.first()) {
            Some(i) => Span { line: self.number, column: *i as u32 + 1, length: wanted.len() as u32 },
            None => self.span(),
        }
    }

    /// Its statement as a whole.
    pub fn span(&self) -> Span {
        let indent = self.source.chars().take_while(|c| c.is_whitespace()).count() as u32;
        let length = self.source.trim().chars().count() as u32;
        Span { line: self.number, column: indent + 1, length }
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Line) -> bool {
        self.statement == other.statement && self.client_kind == other.client_kind && self.comment == other.comment
    }
}

impl Statement {
    /// The client that a fault verb names.
    pub fn client(&self) -> Option<&str> {
        use crate::sim::action::NodeRef;
        match self {
            Statement::Act(Action::KillClient { name } | Action::StartClient { name }) => Some(name),
            Statement::Act(Action::Freeze(NodeRef::Client(name)) | Action::Thaw(NodeRef::Client(name))) => Some(name),
            _ => None,
        }
    }
}

/// Three brokers, three controllers, seed 1.
pub fn default_cluster() -> ClusterSetup {
    ClusterSetup {
        brokers: 3,
        controllers: 3,
        seed: 1,
        racks: Vec::new(),
        cold: false,
        config: BrokerConfig::default(),
        configs: SortedMap::new(),
    }
}
