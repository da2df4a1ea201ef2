//! What can be said to the cluster beyond a click: forms whose fields bear Kafka's own names, each with
//! the line of the script that it becomes. Every verb that acts has a form or a button here or on the stage.

mod catalogue;

use crate::scenario::lex::quote;

pub use catalogue::{
    acknowledge, add_partitions, broker_process, controller_process, delete_records, disk, elect, handle, ids, link,
    load, message, offsets, reassign, reset_offsets, reset_share_offsets, seek, send, transaction,
};

/// A form, or with no fields a button.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// What its button says.
    pub button: String,
    pub effect: &'static str,
    /// How the line begins.
    pub before: String,
    /// How it goes on: `{name}` stands for what is said under a name, and what is in brackets is left
    /// out when that is nothing.
    pub template: &'static str,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: &'static str,
    /// What stands there at first.
    pub start: String,
    /// What could stand there, shown while nothing does.
    pub example: String,
    /// What there is to choose from, as it is shown and as it is written; none: anything can be typed.
    pub choices: Vec<(String, String)>,
    pub meaning: &'static str,
}

impl Form {
    fn button(button: impl Into<String>, line: String, effect: &'static str) -> Form {
        Form { button: button.into(), effect, before: line, template: "", fields: Vec::new() }
    }

    /// The line, given what was said by name; what was not stands as at first.
    pub fn line<'a>(&'a self, said: impl Fn(&str) -> Option<&'a str>) -> String {
        let value = |name: &str| {
            let field = self.fields.iter().find(|field| field.name == name);
            let text = said(name).or(field.map(|field| field.start.as_str())).unwrap_or("");
            match text.trim() {
                _ if field.is_some_and(|field| !field.choices.is_empty()) => text.to_string(),
                "" => String::new(),
                typed => quote(typed, &['=']),
            }
        };
        self.before.clone() + &fill(self.template, &value)
    }
}

impl Field {
    /// Something to type.
    fn text(name: &'static str, start: impl ToString, example: impl ToString, meaning: &'static str) -> Field {
        Field { name, start: start.to_string(), example: example.to_string(), choices: Vec::new(), meaning }
    }

    /// One of a few, the first to begin with.
    fn choice(name: &'static str, choices: Vec<(String, String)>, meaning: &'static str) -> Field {
        let start = choices.first().map(|(_, written)| written.clone()).unwrap_or_default();
        Field { name, start, example: String::new(), choices, meaning }
    }
}

/// Puts values into a template.
fn fill(template: &str, value: &dyn Fn(&str) -> String) -> String {
    let mut line = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['[', '{']) {
        line.push_str(&rest[..at]);
        let optional = rest[at..].starts_with('[');
        let end = rest[at..].find(if optional { ']' } else { '}' }).map_or(rest.len(), |end| at + end);
        let inner = &rest[at + 1..end];
        if optional {
            let names = inner.split('{').skip(1).filter_map(|name| name.split('}').next());
            if names.into_iter().any(|name| !value(name).is_empty()) {
                line.push_str(&fill(inner, value));
            }
        } else {
            line.push_str(&value(inner));
        }
        rest = rest.get(end + 1..).unwrap_or("");
    }
    line + rest
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::history::History;
    use crate::lesson::FIRST_MINUTE;
    use crate::scenario::script::Script;
    use crate::view::cards::ProducerCard;
    use crate::view::stage::{Focus, Projector, Stage};

    #[test]
    fn what_is_not_said_is_left_out() {
        let said = |values: &'static [(&'static str, &'static str)]| {
            move |name: &str| values.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value).to_string()
        };
        assert_eq!(fill(" {a}{b}[ c={c}][ d={d}]!", &said(&[("a", "1"), ("d", "2")])), " 1 d=2!");
        assert_eq!(fill("", &said(&[])), "");
    }

    fn first_minute() -> (Script, std::rc::Rc<Stage>) {
        let text = format!(
            "{FIRST_MINUTE}\nproducer t transactional.id=t\nuntil transaction t = READY within 1s\nshare-consumer w group=jobs topics=orders\nwait 1s\n"
        );
        let script = Script::read(&text).expect("the first minute is a script");
        let mut history = History::open(Arc::new(script.clone())).expect("the cluster settles");
        history.finish_script();
        let stage = Projector::default().stage(&history, false, &Focus::default());
        (script, stage)
    }

    fn all_forms(stage: &Stage) -> Vec<Form> {
        let row = &stage.rows[0];
        let group = &stage.groups[0];
        let mut forms = vec![
            elect(row),
            delete_records(row),
            disk(1)[0].clone(),
            disk(1)[1].clone(),
            link(stage),
            message(stage),
            load("app", stage),
            send("app", stage),
            seek(&group.consumers[0]),
            handle(&group.consumers[0]),
            acknowledge(
                stage.groups.iter().flat_map(|g| &g.consumers).find(|card| card.name == "w").expect("it is there"),
            ),
            add_partitions(&stage.topics[0]),
            offsets("t", stage),
        ];
        let begun = |state: &'static str| {
            let card = stage.producers.iter().find(|card| card.name == "t").expect("it is there");
            let mut card = ProducerCard::clone(card);
            card.transaction.as_mut().expect("it has transactions").state = Some(state);
            card
        };
        forms.extend(["READY", "IN_TRANSACTION"].iter().flat_map(|state| transaction(&begun(state))));
        forms.extend(reassign(row));
        forms.extend(reset_offsets(&group.id, "orders"));
        forms.extend(reset_share_offsets(&group.id, "orders"));
        forms.extend(stage.brokers.iter().flat_map(broker_process));
        forms.extend(stage.controllers.iter().flat_map(controller_process));
        forms
    }

    /// Filled in with its examples, every form is a line that the script takes.
    #[test]
    fn every_form_becomes_a_line_that_is_understood() {
        let (script, stage) = first_minute();
        let forms = all_forms(&stage);
        for form in &forms {
            let example = |name: &str| {
                // Only a delay has a length; the first mishap is another.
                let field = form.fields.iter().find(|field| field.name == name && name != "by")?;
                Some(if field.start.is_empty() { field.example.as_str() } else { field.start.as_str() })
            };
            let line = form.line(example);
            let mut script = script.clone();
            let pushed = script.push_text(&line);
            assert!(pushed.is_ok(), "{}: {line}: {:?}", form.button, pushed.err());
        }
        let lines: Vec<String> = forms.iter().map(|form| form.line(|_| None)).collect();
        assert!(lines.contains(&"elect preferred orders-0".to_string()), "{lines:?}");
    }

    /// Every choice of a form is understood as well.
    #[test]
    fn every_choice_becomes_a_line_that_is_understood() {
        let (script, stage) = first_minute();
        for form in all_forms(&stage) {
            for field in &form.fields {
                for (shown, written) in &field.choices {
                    let said = |name: &str| match form.fields.iter().find(|field| field.name == name) {
                        _ if name == field.name => Some(written.as_str()),
                        Some(other) if other.name == "by" && written != "delay" => None,
                        Some(other) if other.start.is_empty() => Some(other.example.as_str()),
                        _ => None,
                    };
                    let line = form.line(said);
                    // A link or a message is between two nodes.
                    let itself = line.split([' ']).any(|word| {
                        word.split_once("<->").or(word.split_once("->")).is_some_and(|(from, to)| from == to)
                    });
                    let pushed = script.clone().push_text(&line).map(|_| ());
                    assert_eq!(pushed.is_ok(), !itself, "{}, {shown}: {line}: {pushed:?}", form.button);
                }
            }
        }
    }

    /// Verbs with a control of their own on the stage or in a dialog, and which.
    const CONTROLS: &[(&str, &str)] = &[
        ("cluster", "New…"),
        ("topic", "+ topic"),
        ("producer", "+ producer"),
        ("consumer", "+ consumer"),
        ("share-consumer", "+ share consumer"),
        ("stream", "+ stream"),
        ("add", "+ broker; Add controller"),
        ("pause", "Manage consumer"),
        ("resume", "Manage consumer"),
        ("close", "Manage producer, consumer or stream"),
        ("cut", "Cut…, or a drag from node to node"),
        ("heal", "Heal"),
        ("duplicate", "Inspector of a message; Cut…"),
        ("delay", "Inspector of a message; Cut…"),
        ("alter", "Manage topic, broker or group"),
        ("delete", "Manage topic or group"),
        ("remove", "Manage controllers"),
        ("unregister", "Manage broker"),
        ("thaw", "Thaw"),
        ("start", "Start"),
        ("wipe", "Wipe"),
        ("wait", "Play; Time"),
        ("at", "Time"),
        ("until", "Next event"),
    ];

    /// Verbs that do nothing to a cluster: they check, tell and ask.
    const OF_LESSONS: &[&str] = &["expect", "always", "step", "ask", "goal"];

    #[test]
    fn every_verb_that_acts_has_a_control() {
        let (_, stage) = first_minute();
        let lines: Vec<String> = all_forms(&stage).iter().map(|form| form.line(|_| None)).collect();
        for verb in crate::scenario::words::VERBS {
            let has_form = lines.iter().any(|line| line.split(' ').next() == Some(verb));
            let has_control = CONTROLS.iter().any(|(other, _)| other == verb);
            let acts = !OF_LESSONS.contains(verb);
            assert_eq!(has_form || has_control, acts, "{verb}");
        }
    }

    #[test]
    fn what_is_typed_cannot_add_words_to_a_line() {
        let (_, stage) = first_minute();
        let form = send("app", &stage);
        let said = |name: &str| match name {
            "key" => Some("a b"),
            "value" => Some("x=1 partition=2"),
            _ => None,
        };
        assert_eq!(form.line(said), "send app orders \"a b\"=\"x=1 partition=2\"");
    }
}
