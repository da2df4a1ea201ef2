//! Time, checks, and what a lesson says and asks.

use crate::scenario::condition::{Condition, parse};
use crate::scenario::error::ScriptError;
use crate::scenario::lex::Word;
use crate::scenario::parse::args::Args;
use crate::scenario::quantity;
use crate::scenario::script::{Ask, Statement};
use crate::time::Instant;

pub fn wait(a: &mut Args<'_>) -> Option<Statement> {
    let duration = a.duration()?;
    a.finish(Statement::Wait(duration))
}

pub fn at(a: &mut Args<'_>) -> Option<Statement> {
    let since_zero = a.duration()?;
    a.finish(Statement::At(Instant::ZERO + since_zero))
}

pub fn until(a: &mut Args<'_>) -> Option<Statement> {
    let words = a.rest();
    let Some(at) = words.iter().rposition(|word| word.is("within")) else {
        condition(a, words)?;
        return a.fail(ScriptError::expected(a.end, "`within` and a duration such as `30s`", ""));
    };
    let condition = condition(a, &words[..at]);
    let within = match &words[at + 1..] {
        [] => a.fail(ScriptError::expected(a.end, "a duration such as `30s`", "")),
        [word] => a.read(word, "a duration such as `30s`", quantity::duration),
        [_, word, ..] => a.fail(ScriptError::expected(word.span, "the end of the line", &word.text())),
    };
    a.finish(Statement::Until { condition: condition?, within: within? })
}

pub fn expect(a: &mut Args<'_>) -> Option<Statement> {
    let words = a.rest();
    let condition = condition(a, words)?;
    a.finish(Statement::Expect(condition))
}

pub fn always(a: &mut Args<'_>) -> Option<Statement> {
    let words = a.rest();
    let condition = condition(a, words)?;
    a.finish(Statement::Always(condition))
}

pub fn goal(a: &mut Args<'_>) -> Option<Statement> {
    let words = a.rest();
    let condition = condition(a, words)?;
    a.finish(Statement::Goal(condition))
}

fn condition(a: &mut Args<'_>, words: &[Word]) -> Option<Condition> {
    match parse::condition(words, a.end) {
        Ok(condition) => Some(condition),
        Err(error) => a.fail(error),
    }
}

pub fn step(a: &mut Args<'_>) -> Option<Statement> {
    let title = a.text("a title in quotes")?;
    a.finish(Statement::Step(title))
}

pub fn ask(a: &mut Args<'_>) -> Option<Statement> {
    let question = a.text("a question in quotes")?;
    a.options();
    let answer = a.required("answer", "what is right");
    let answer = answer.and_then(|word| a.non_empty(&word, "an answer"));
    let choices = a.required("choices", "what can be chosen");
    let choices = choices.and_then(|word| {
        let choices =
            a.list(&word, "choices such as `1,2,3`", |item| Some(item.text()).filter(|text| !text.is_empty()))?;
        if choices.len() < 2 {
            return a.fail(ScriptError::expected(word.span, "at least two choices", &word.text()));
        }
        Some(choices)
    });
    let ask = Ask { question, answer: answer?, choices: choices? };
    if ask.role().is_none() && !ask.choices.contains(&ask.answer) {
        let message = format!("the answer `{}` is none of the choices", ask.answer);
        return a.fail(ScriptError::because(a.end, &ask.answer, message));
    }
    a.finish(Statement::Ask(ask))
}
