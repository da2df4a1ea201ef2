//! A lesson's course: its parts, when each begins and ends, what is asked in it and what the reader
//! is to bring about. It is found by carrying out the script once, ahead of the reader.

use std::ops::Range;
use std::sync::Arc;

use crate::history::Run;
use crate::scenario::Observe;
use crate::scenario::condition::Condition;
use crate::scenario::script::{Ask, Script, Statement};
use crate::sim::World;
use crate::time::{Duration, Instant};

/// The smallest piece of time: a part ends just before the next one begins.
const BEFORE: Duration = Duration::from_micros(1);

#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub title: String,
    pub begins: Instant,
    /// Where it waits for the reader; the lines of the next part have not been begun.
    pub ends: Instant,
    pub question: Option<Question>,
    pub goal: Option<Goal>,
    /// Its lines, as places in the script.
    lines: Range<usize>,
}

/// Something to predict.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    pub at: Instant,
    pub text: String,
    pub choices: Vec<String>,
    /// The right choice, as it turns out at the end of the part.
    pub answer: String,
}

/// Something to bring about.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    pub at: Instant,
    condition: Condition,
}

impl Goal {
    pub fn is_reached(&self, world: &World) -> bool {
        self.condition.holds(world)
    }
}

impl Story {
    /// The course of a script; `None` when it has no parts, or does not begin.
    pub fn of(script: &Arc<Script>) -> Option<Story> {
        if !script.statements().any(|(_, statement)| matches!(statement, Statement::Step(_))) {
            return None;
        }
        let mut run = Run::start(script.clone(), None).ok()?;
        while !run.is_finished() {
            run.advance(Instant::FAR_FUTURE);
        }
        let mut parts: Vec<Part> = Vec::new();
        for (line, at) in run.told() {
            tell(&mut parts, script, *line as usize, *at, run.now());
        }
        reveal(&mut parts, script);
        Some(Story { parts })
    }

    /// Which part a run is in: how many have begun, less one.
    pub fn part_of(&self, run: &Run) -> Option<usize> {
        let begun = run.begun() as usize;
        self.parts.iter().rposition(|part| part.lines.start < begun)
    }

    /// The next instant at which time waits for the reader.
    pub fn next_hold(&self, now: Instant) -> Option<Instant> {
        self.holds().filter(|hold| *hold > now).min()
    }

    /// Whether time waits for the reader at this very instant.
    pub fn holds_at(&self, now: Instant) -> bool {
        self.holds().any(|hold| hold == now)
    }

    fn holds(&self) -> impl Iterator<Item = Instant> {
        let holds = self.parts.iter().flat_map(|part| {
            let question = part.question.as_ref().map(|question| question.at);
            [question, part.goal.as_ref().map(|goal| goal.at), Some(part.ends)]
        });
        holds.flatten()
    }

    /// What has been told in a part so far: prose lines that stand together are one paragraph.
    pub fn captions(&self, part: usize, run: &Run) -> Vec<String> {
        let script = run.script();
        let end = self.parts[part].lines.end.min(run.begun() as usize).min(script.lines.len());
        let mut paragraphs: Vec<String> = Vec::new();
        let mut joined = false;
        for line in script.lines.get(self.parts[part].lines.start..end).unwrap_or_default() {
            match &line.statement {
                Some(Statement::Prose(text)) if joined => {
                    let paragraph = paragraphs.last_mut().expect("a line of prose came before");
                    paragraph.push(' ');
                    paragraph.push_str(text);
                }
                Some(Statement::Prose(text)) => paragraphs.push(text.clone()),
                _ => {}
            }
            joined = matches!(line.statement, Some(Statement::Prose(_)));
        }
        paragraphs
    }
}

/// Takes in one line of the lesson.
fn tell(parts: &mut Vec<Part>, script: &Script, line: usize, at: Instant, end: Instant) {
    let Some(statement) = script.lines.get(line).and_then(|line| line.statement.as_ref()) else { return };
    if let Statement::Step(title) = statement {
        if let Some(last) = parts.last_mut() {
            last.ends = (at - BEFORE).max(last.begins);
            last.lines.end = line;
        }
        let lines = line..script.lines.len();
        parts.push(Part { title: title.clone(), begins: at, ends: end, question: None, goal: None, lines });
        return;
    }
    let Some(part) = parts.last_mut() else { return };
    match statement {
        Statement::Ask(Ask { question, answer, choices }) => {
            let (text, choices, answer) = (question.clone(), choices.clone(), answer.clone());
            part.question = Some(Question { at, text, choices, answer });
        }
        Statement::Goal(condition) => part.goal = Some(Goal { at, condition: condition.clone() }),
        _ => {}
    }
}

/// An answer that is a role means the broker that has it at the end of the part.
fn reveal(parts: &mut [Part], script: &Arc<Script>) {
    for part in parts {
        let Some(question) = &mut part.question else { continue };
        let Some(role) = crate::scenario::parse::role(&question.answer) else { continue };
        let Ok(mut run) = Run::start(script.clone(), None) else { continue };
        while run.advance(part.ends).is_some() {}
        if let Some(broker) = run.world.role(&role) {
            question.answer = broker.0.to_string();
        }
    }
}
