//! Adding to the cluster from the stage: a form whose fields bear Kafka's own names, which becomes one
//! line of the script.

use crate::sorted::SortedMap as BTreeMap;

use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::scenario::lex::quote;
use crate::ui::command::{Ask, Command};
use crate::ui::dialog::Dialog;

/// What can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    Topic,
    Broker,
    Producer,
    Consumer,
}

/// A field: Kafka's name, what it offers (text when nothing), and its meaning.
struct Field {
    name: &'static str,
    choices: &'static [&'static str],
    example: &'static str,
    meaning: &'static str,
}

const fn text(name: &'static str, example: &'static str, meaning: &'static str) -> Field {
    Field { name, choices: &[], example, meaning }
}

const fn choice(name: &'static str, choices: &'static [&'static str], meaning: &'static str) -> Field {
    Field { name, choices, example: "", meaning }
}

const TOPIC: &[Field] = &[
    text("name", "payments", "the topic"),
    text("partitions", "3", "how many logs it has"),
    text("replication-factor", "3", "on how many brokers each is kept"),
    text("min.insync.replicas", "1", "so many must be in sync for acks=all"),
    choice("unclean.leader.election.enable", &["false", "true"], "whether a replica that is not in sync may lead"),
    choice("cleanup.policy", &["delete", "compact"], "what becomes of old records"),
];
const BROKER: &[Field] = &[text("id", "4", "its number"), text("rack", "", "where its machine stands")];
const PRODUCER: &[Field] = &[
    text("client.id", "shop", "its name"),
    choice("acks", &["all", "1", "0"], "whose acknowledgement it waits for"),
    choice("enable.idempotence", &["true", "false"], "whether a retry may append twice"),
    text("linger.ms", "5", "how long a batch waits for company"),
    text("max.in.flight.requests.per.connection", "5", "how many requests may be under way"),
];
const CONSUMER: &[Field] = &[
    text("client.id", "c3", "its name"),
    text("group.id", "billing", "with whom it shares the partitions"),
    text("topics", "orders", "what it reads"),
    choice("auto.offset.reset", &["latest", "earliest", "none"], "where it begins without a committed offset"),
    choice("enable.auto.commit", &["true", "false"], "whether it commits by itself"),
    text("session.timeout.ms", "45000", "how long its silence is borne"),
];

impl Addition {
    pub fn title(self) -> &'static str {
        match self {
            Addition::Topic => "Add a topic",
            Addition::Broker => "Add a broker",
            Addition::Producer => "Add a producer",
            Addition::Consumer => "Add a consumer",
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Addition::Topic => TOPIC,
            Addition::Broker => BROKER,
            Addition::Producer => PRODUCER,
            Addition::Consumer => CONSUMER,
        }
    }

    /// `topic payments partitions=3 replication-factor=3`; what is left as it stands is not said.
    fn line(self, values: &BTreeMap<&'static str, String>, more: &str) -> String {
        let fields = self.fields();
        let value = |field: &Field| values.get(field.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let (first, rest) = (&fields[0], &fields[1..]);
        let verb = match self {
            Addition::Topic => "topic",
            Addition::Broker => "add broker",
            Addition::Producer => "producer",
            Addition::Consumer => "consumer",
        };
        let mut line = format!("{verb} {}", quote(value(first).unwrap_or(first.example), &['=']));
        for field in rest {
            let always = matches!(field.name, "partitions" | "replication-factor" | "group.id" | "topics");
            let said = value(field).or(always.then_some(field.example));
            let name = if field.name == "group.id" { "group" } else { field.name };
            if let Some(said) = said {
                line.push_str(&format!(" {name}={}", quote(said, &['='])));
            }
        }
        if !more.trim().is_empty() {
            line.push_str(&format!(" {}", more.trim()));
        }
        line
    }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub what: Addition,
    /// Why the last attempt was refused.
    pub problems: Vec<String>,
    pub ask: Ask,
}

#[component]
pub fn AddDialog(props: &Props) -> Html {
    let values = use_state(BTreeMap::<&'static str, String>::new);
    let more = use_state(String::new);
    let line = props.what.line(&values, &more);
    let submit = {
        let (ask, line) = (props.ask.clone(), line.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            ask.emit(Command::Add(line.clone()));
        })
    };
    let set = {
        let values = values.clone();
        move |name: &'static str, value: String| {
            let mut changed = (*values).clone();
            changed.insert(name, value);
            values.set(changed);
        }
    };
    let row = |field: &'static Field| {
        let typed = {
            let set = set.clone();
            Callback::from(move |event: InputEvent| {
                set(field.name, event.target_unchecked_into::<HtmlInputElement>().value())
            })
        };
        let chosen = {
            let set = set.clone();
            Callback::from(move |event: Event| {
                set(field.name, event.target_unchecked_into::<HtmlSelectElement>().value())
            })
        };
        let input = if field.choices.is_empty() {
            let value = values.get(field.name).cloned().unwrap_or_default();
            html! { <input type="text" aria-label={field.name} {value} oninput={typed} onchange={chosen} placeholder={field.example} maxlength="200" spellcheck="false" autocomplete="off" /> }
        } else {
            html! {
                <select aria-label={field.name} onchange={chosen}>
                    <option value="">{ format!("{} (default)", field.choices[0]) }</option>
                    { for field.choices[1..].iter().map(|choice| html! { <option value={*choice}>{ *choice }</option> }) }
                </select>
            }
        };
        html! { <label><code>{ field.name }</code>{ input }<small>{ field.meaning }</small></label> }
    };
    let more_typed = {
        let more = more.clone();
        Callback::from(move |event: InputEvent| more.set(event.target_unchecked_into::<HtmlInputElement>().value()))
    };
    html! {
        <Dialog name={props.what.title()} ask={props.ask.clone()}>
            <h2>{ props.what.title() }</h2>
            <form class="fields" onsubmit={submit}>
                { for props.what.fields().iter().map(row) }
                <label><code>{ "more settings" }</code>
                    <input type="text" aria-label="more settings" value={(*more).clone()} oninput={more_typed} maxlength="500"
                        placeholder="name=value name=value" spellcheck="false" autocomplete="off" />
                    <small>{ "by Kafka’s names" }</small></label>
                <p class="as-line"><code>{ line }</code></p>
                if !props.problems.is_empty() {
                    <div class="refused" role="alert">{ for props.problems.iter().map(|problem| html! { <p>{ problem }</p> }) }</div>
                }
                <button type="submit" class="primary">{ "Add" }</button>
            </form>
        </Dialog>
    }
}
