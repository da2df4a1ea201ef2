//! Text into statements. Each line is read by itself, in the context of what the lines before it
//! have named; every error is gathered.

mod admin;
mod args;
mod faults;
mod setup;
mod time;
mod traffic;

use crate::scenario::condition::parse::{broker_id, partition};
use crate::scenario::error::{ScriptError, Span};
use crate::scenario::lex::{LineBody, Word, lex};
use crate::scenario::names::{ClientKind, Names};
use crate::scenario::script::{Line, Script, Statement};
use crate::scenario::words::{QUESTIONS, VERBS};
use crate::sim::action::{BrokerRef, ControllerRef, NodeRef};
use crate::wire::ControllerId;

use args::Args;

/// A script is not longer than this; nobody reads on.
pub const LONGEST_SCRIPT: usize = 1 << 20;

/// Reads a text: the lines that are well formed, and every error. A line with an error stands in
/// the script without a statement.
pub fn parse(text: &str) -> (Script, Vec<ScriptError>) {
    let mut script = Script::default();
    let mut errors = Vec::new();
    if text.len() > LONGEST_SCRIPT {
        let message = format!("a script has at most {LONGEST_SCRIPT} bytes, this text has {}", text.len());
        errors.push(ScriptError::because(Span { line: 1, column: 1, length: 0 }, "", message));
        return (script, errors);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut names = Names::new();
    for (i, source) in text.lines().enumerate() {
        let (line, mut found) = parse_line(source, i as u32 + 1, &names);
        errors.append(&mut found);
        names.declare(&line);
        script.lines.push(line);
    }
    (script, errors)
}

/// Reads one line in the context of `names`.
pub fn parse_line(source: &str, number: u32, names: &Names) -> (Line, Vec<ScriptError>) {
    let mut line = Line { number, source: source.to_string(), statement: None, client_kind: None, comment: None };
    let lexed = match lex(source, number) {
        Ok(lexed) => lexed,
        Err(error) => return (line, vec![error]),
    };
    line.comment = lexed.comment;
    let errors = match lexed.body {
        LineBody::Blank => Vec::new(),
        LineBody::Prose(text) => {
            line.statement = Some(Statement::Prose(text));
            Vec::new()
        }
        LineBody::Words(words) => {
            let last = words[words.len() - 1].span;
            let end = Span { line: number, column: last.column + last.length, length: 1 };
            let mut args = Args::new(&words[1..], end, names);
            line.statement = statement(&words[0], &mut args);
            let named = line.statement.as_ref().is_some_and(|statement| statement.client().is_some());
            line.client_kind = words.get(1).and_then(|word| ClientKind::parse(&word.text())).filter(|_| named);
            // A statement without its errors would half-run.
            if !args.errors.is_empty() {
                line.statement = None;
            }
            args.errors
        }
    };
    (line, errors)
}

fn statement(verb: &Word, a: &mut Args<'_>) -> Option<Statement> {
    match verb.text().as_str() {
        "cluster" => setup::cluster(a),
        "topic" => setup::topic(a),
        "producer" => setup::producer(a),
        "consumer" => setup::consumer(a),
        "share-consumer" => setup::share_consumer(a),
        "stream" => setup::stream(a),
        "send" => traffic::send(a),
        "load" => traffic::load(a),
        "begin" => traffic::begin(a),
        "commit" => traffic::commit(a),
        "abort" => traffic::abort(a),
        "offsets" => traffic::offsets(a),
        "acknowledge" => traffic::acknowledge(a),
        "seek" => traffic::seek(a),
        "pause" => traffic::pause(a),
        "handle" => traffic::handle(a),
        "resume" => traffic::resume(a),
        "close" => traffic::close(a),
        "reset-offsets" => traffic::reset_offsets(a),
        "kill" => faults::kill(a),
        "power-off" => faults::power_off(a),
        "stop" => faults::stop(a),
        "start" => faults::start(a),
        "wipe" => faults::wipe(a),
        "freeze" => faults::freeze(a),
        "thaw" => faults::thaw(a),
        "cut" => faults::cut(a),
        "heal" => faults::heal(a),
        "link" => faults::link(a),
        "drop" => faults::drop_next(a),
        "delay" => faults::delay_next(a),
        "duplicate" => faults::duplicate_next(a),
        "disk" => faults::disk(a),
        "create-partitions" => admin::create_partitions(a),
        "alter" => admin::alter(a),
        "delete" => admin::delete(a),
        "delete-records" => admin::delete_records(a),
        "elect" => admin::elect(a),
        "reassign" => admin::reassign(a),
        "add" => admin::add(a),
        "remove" => admin::remove(a),
        "unregister" => admin::unregister(a),
        "wait" => time::wait(a),
        "at" => time::at(a),
        "until" => time::until(a),
        "expect" => time::expect(a),
        "always" => time::always(a),
        "step" => time::step(a),
        "ask" => time::ask(a),
        "goal" => time::goal(a),
        other => {
            a.rest();
            let valid = if QUESTIONS.contains(&other) { &["expect", "until", "always"] } else { VERBS };
            a.fail(ScriptError::unknown(verb.span, "verb", other, valid.iter().copied()))
        }
    }
}

/// A role in a text: `leader:orders-0`, `follower:orders-0`, `coordinator:billing`.
pub fn role(text: &str) -> Option<BrokerRef> {
    let (role, of) = text.split_once(':')?;
    let partition = || crate::wire::TopicPartition::parse(of);
    match role {
        "leader" => partition().map(BrokerRef::Leader),
        "follower" => partition().map(BrokerRef::Follower),
        "coordinator" if !of.is_empty() => Some(BrokerRef::Coordinator(of.to_string())),
        _ => None,
    }
}

/// A broker by number or role.
pub fn broker_ref(word: &Word) -> Result<BrokerRef, ScriptError> {
    let text = word.text();
    if let Some((role_word, of)) = word.split_once(":") {
        return match role_word.text().as_str() {
            "leader" => partition(&of).map(BrokerRef::Leader),
            "follower" => partition(&of).map(BrokerRef::Follower),
            "coordinator" if !of.text().is_empty() => Ok(BrokerRef::Coordinator(of.text())),
            "coordinator" => Err(ScriptError::expected(of.span, "a group", "")),
            other => Err(ScriptError::unknown(role_word.span, "role", other, ["leader", "follower", "coordinator"])),
        };
    }
    match broker_id(&text) {
        Some(id) => Ok(BrokerRef::Id(id)),
        None => {
            let expected = "a broker such as `1` or `leader:orders-0`";
            Err(ScriptError::expected(word.span, expected, &text).or_nearest(["leader:", "follower:", "coordinator:"]))
        }
    }
}

/// A controller's number: `c2`.
pub fn controller_id(text: &str) -> Option<ControllerId> {
    let number = broker_id(text.strip_prefix('c')?)?.0;
    (1..=999).contains(&number).then_some(ControllerId(number))
}

/// A controller by name or role.
pub fn controller_ref(word: &Word) -> Result<ControllerRef, ScriptError> {
    if word.is("active") {
        return Ok(ControllerRef::Active);
    }
    match controller_id(&word.text()) {
        Some(id) => Ok(ControllerRef::Id(id)),
        None => Err(ScriptError::expected(word.span, "a controller such as `c1`, or `active`", &word.text())),
    }
}

/// Whatever `cut` and `link` can name. `c1` is the controller when there is one of that name; a
/// client of the same name is written `client:c1`.
pub fn node_ref(word: &Word, names: &Names) -> Result<NodeRef, ScriptError> {
    let text = word.text();
    if let Some((kind, name)) = word.split_once(":") {
        if kind.is("client") && !name.text().is_empty() {
            return Ok(NodeRef::Client(name.text()));
        }
        return broker_ref(word).map(NodeRef::Broker);
    }
    if broker_id(&text).is_some() {
        return broker_ref(word).map(NodeRef::Broker);
    }
    if word.is("active") {
        return Ok(NodeRef::Controller(ControllerRef::Active));
    }
    match controller_id(&text) {
        Some(id) if names.controllers.contains(&id.0) || !names.clients.contains_key(&text) => {
            Ok(NodeRef::Controller(ControllerRef::Id(id)))
        }
        _ if text.chars().next().is_some_and(char::is_alphabetic) => Ok(NodeRef::Client(text)),
        _ => {
            let expected = "a broker such as `1`, a controller such as `c1` or a client";
            Err(ScriptError::expected(word.span, expected, &text))
        }
    }
}
