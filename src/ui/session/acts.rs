//! What a person does to the cluster, as lines of the script, and what comes of it.

use std::sync::Arc;

use super::Session;
use crate::history::Check;
use crate::scenario::error::ScriptError;
use crate::scenario::script::{Line, Script, Statement};
use crate::time::{Duration, Instant};

/// How long a cluster may take to answer a form; what takes longer is told when it comes.
const FORESIGHT: Duration = Duration::from_secs(1);

/// What became of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A condition that was asked for holds.
    Holds(String),
    /// It does not, or what was to be done was refused.
    Refused(String),
}

impl Session {
    /// Does what some lines of the script say, here and now. In the past this starts a new future. A line that lets
    /// time pass does so at once, however fast time goes by otherwise.
    pub fn act(&mut self, text: &str) -> Result<(), Vec<String>> {
        let at = self.history.settle_for_act();
        let (script, acted) = self.script_with(text, at)?;
        let lets_time_pass = script.lines[acted..].iter().any(Line::lets_time_pass);
        self.acted = acted;
        self.go_on_with(script);
        self.history.seek(at);
        self.playback.playing |= std::mem::take(&mut self.held);
        self.playback.hurries = lets_time_pass;
        let refused = self.refused_so_far();
        if refused.is_empty() { Ok(()) } else { Err(refused) }
    }

    /// The script that leads to `at`, with these lines at its end, and where they begin.
    fn script_with(&self, text: &str, at: Instant) -> Result<(Script, usize), Vec<String>> {
        let mut script = self.history.script_until(at);
        let acted = script.lines.len();
        for line in text.lines() {
            script
                .push_text(line)
                .map_err(|errors| errors.iter().map(ScriptError::in_a_single_line).collect::<Vec<_>>())?;
        }
        Ok((script, acted))
    }

    /// What was refused at once; what holds is told with the next answers.
    fn refused_so_far(&mut self) -> Vec<String> {
        let checks = self.history.head().checks();
        let refused: Vec<_> = checks.iter().skip(self.checked).filter(|check| !check.ok).collect();
        let told = refused.iter().map(|check| self.refusal(check)).collect();
        if !refused.is_empty() {
            self.checked = checks.len();
        }
        told
    }

    /// Like [`Session::act`] for a line from a form, which is to say what is wrong with it: the line is
    /// carried out on a copy first, until the cluster has answered it, and what is refused there is not done.
    pub fn try_to_act(&mut self, line: &str) -> Result<(), Vec<String>> {
        let at = self.history.settle_for_act();
        let (script, acted) = self.script_with(line, at)?;
        let mut trial = self.history.viewed().clone();
        trial.set_script(Arc::new(script));
        let limit = at + FORESIGHT;
        while trial.now() < limit && !trial.is_finished() {
            trial.advance(limit);
        }
        let refused = trial.checks().iter().filter(|check| check.line as usize > acted && !check.ok);
        let refused: Vec<String> = refused.map(|check| self.refusal(check)).collect();
        if refused.is_empty() { self.act(line) } else { Err(refused) }
    }

    /// What became of the lines that are done since this was last asked: an administrative statement is answered
    /// only when the cluster has answered. Of what holds, only what a person asked for is told.
    pub fn answers(&mut self) -> Vec<Answer> {
        let checks = self.history.head().checks();
        let answers = checks.iter().skip(self.checked).filter_map(|check| {
            let asked = check.line as usize > self.acted;
            match check.ok {
                false => Some(Answer::Refused(self.refusal(check))),
                true => {
                    asked.then(|| Answer::Holds(format!("`{}` holds at {}: {}", check.text, check.at, check.actual)))
                }
            }
        });
        let answers = answers.collect();
        self.checked = checks.len();
        answers
    }

    fn refusal(&self, check: &Check) -> String {
        let Check { text, actual, at, .. } = check;
        let line = self.history.script().lines.iter().find(|line| line.number == check.line);
        let is_condition = line.is_some_and(|line| {
            matches!(line.statement, Some(Statement::Expect(_) | Statement::Until { .. } | Statement::Always(_)))
        });
        match (is_condition, actual.is_empty()) {
            (true, _) => format!("`{text}` does not hold at {at}: {actual}"),
            (false, true) => format!("`{text}` was refused."),
            (false, false) => format!("`{text}`: {actual}"),
        }
    }
}
