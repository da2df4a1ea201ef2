//! Adding to the cluster from the stage: a form whose fields bear Kafka's own names, which becomes one
//! line of the script.

use std::rc::Rc;

use yew::prelude::*;

use crate::scenario::lex::quote;
use crate::ui::command::Ask;
use crate::ui::dialog::Dialog;
use crate::ui::form::{Settings, Text, Typed, options, sets, submits};
use crate::ui::part::{Part, part, sentence};
use crate::view::settings::{self, Of, SettingRow};

/// What can be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// Instead of the one that is there.
    Cluster,
    Topic,
    Broker,
    Producer,
    Consumer,
    ShareConsumer,
    Stream,
}

/// What must be said of it: a name, an example that stands for it when nothing is said, and its meaning.
type Field = (&'static str, &'static str, &'static str);

impl Addition {
    pub fn title(self) -> &'static str {
        match self {
            Addition::Cluster => "New cluster",
            Addition::Topic => "Add a topic",
            Addition::Broker => "Add a broker",
            Addition::Producer => "Add a producer",
            Addition::Consumer => "Add a consumer",
            Addition::ShareConsumer => "Add a share consumer",
            Addition::Stream => "Add a stream",
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Addition::Cluster => &[
                ("brokers", "3", "how many"),
                ("controllers", "3", "how many voters the metadata log has"),
                ("seed", "1", "of all that is left to chance: the same seed, the same run"),
                ("racks", "", "where each broker stands, as a,b,c"),
                ("start", "settled", "cold: it begins with everything just switched on"),
            ],
            Addition::Topic => &[
                ("name", "payments", "the topic"),
                ("partitions", "3", "how many logs it has"),
                ("replication-factor", "3", "on how many brokers each is kept"),
                (
                    "replica-assignment",
                    "",
                    "instead of both: the brokers of each partition, the preferred leader first, as 1:2:3,2:3:1",
                ),
            ],
            Addition::Broker => &[("id", "4", "its number"), ("rack", "", "where its machine stands")],
            Addition::Producer => &[
                ("client.id", "shop", "its name"),
                (
                    "transactional.id",
                    "",
                    "with it, what is sent between begin and commit happens together or not at all",
                ),
            ],
            Addition::Consumer => &[
                ("client.id", "c3", "its name"),
                ("group.id", "billing", "with whom it shares the partitions"),
                ("topics", "orders", "what it reads"),
            ],
            Addition::ShareConsumer => &[
                ("client.id", "w1", "its name"),
                ("group.id", "jobs", "the share group, which reads every partition together"),
                ("topics", "orders", "what it reads, from now on"),
            ],
            Addition::Stream => &[
                ("name", "s1", "the query"),
                ("subscribe", "orders", "what it reads, in micro-batches and without a group"),
                ("trigger", "1s", "how often a batch begins; 0s: as soon as the one before is done"),
            ],
        }
    }

    fn settings(self) -> Vec<SettingRow> {
        match self {
            Addition::Cluster => settings::of(Of::Cluster),
            Addition::Topic => settings::of(Of::Topic),
            Addition::Producer => settings::of(Of::Producer),
            Addition::Consumer => settings::of(Of::Consumer),
            Addition::ShareConsumer => settings::of(Of::ShareConsumer),
            // Its trigger has a field of its own.
            Addition::Stream => settings::of(Of::Stream).into_iter().filter(|row| row.name != "trigger").collect(),
            Addition::Broker => Vec::new(),
        }
    }

    /// `topic payments partitions=3 replication-factor=3`; settings that are left as they stand are not said.
    fn line(self, rows: &[SettingRow], typed: &Typed) -> String {
        let mut line = match self {
            Addition::Cluster => "cluster",
            Addition::Topic => "topic",
            Addition::Broker => "add broker",
            Addition::Producer => "producer",
            Addition::Consumer => "consumer",
            Addition::ShareConsumer => "share-consumer",
            Addition::Stream => "stream",
        }
        .to_string();
        let typed_at = |name: &str| typed.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let placed = typed_at("replica-assignment").is_some();
        for (place, (name, example, _)) in self.fields().iter().enumerate() {
            // An assignment says how many there are.
            let unsaid = if placed && place > 0 { "" } else { example };
            let said = typed_at(name).unwrap_or(unsaid);
            match *name {
                _ if said.is_empty() => {}
                _ if place == 0 && self != Addition::Cluster => line.push_str(&format!(" {}", quote(said, &['=']))),
                "group.id" => line.push_str(&format!(" group={}", quote(said, &['=']))),
                name => line.push_str(&format!(" {name}={}", quote(said, &['=']))),
            }
        }
        line + &options(rows, typed, &[])
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
    let typed = use_state(Typed::new);
    let rows = use_memo(props.what as u8, |_| props.what.settings());
    let line = props.what.line(&rows, &typed);
    let submit = submits(&props.ask, line.clone());
    let set = sets(&typed);
    let row = |(name, example, meaning): &Field| {
        let (set, name) = (set.clone(), *name);
        let set = Callback::from(move |value: String| set.emit((name.to_string(), value)));
        let value = typed.get(name).cloned().unwrap_or_default();
        html! { <label><code>{ name }</code>{ part(Text { name, value, example: (*example).into(), set }) }<small>{ *meaning }</small></label> }
    };
    html! {
        <Dialog name={props.what.title()} ask={props.ask.clone()}>
            <h2>{ props.what.title() }</h2>
            if props.what == Addition::Cluster { <p>{ "It begins empty, in place of what is open now. Share keeps that as a link." }</p> }
            <form class="fields" onsubmit={submit}>
                { for props.what.fields().iter().map(row) }
                if !rows.is_empty() { { part(Settings { rows: Rc::clone(&rows), now: Vec::new(), typed: (*typed).clone(), set }) } }
                <p class="as-line"><code>{ line }</code></p>
                { part(Refused { problems: props.problems.clone() }) }
                <button type="submit" class="primary">{ if props.what == Addition::Cluster { "Begin" } else { "Add" } }</button>
            </form>
        </Dialog>
    }
}

/// Why what was asked for was not done.
#[derive(PartialEq)]
pub struct Refused {
    pub problems: Vec<String>,
}

impl Part for Refused {
    fn draw(&self) -> Html {
        if self.problems.is_empty() {
            return html! {};
        }
        html! { <div class="refused" role="alert">{ for self.problems.iter().map(|problem| html! { <p>{ sentence(problem) }</p> }) }</div> }
    }
}
