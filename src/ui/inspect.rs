//! The inspector: everything about the selected thing, why it is so, and what can be done to it.

use std::rc::Rc;

use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::ui::manage::Thing;
use crate::ui::part::Part;
use crate::ui::session::Intervention;
use crate::view::inspect::{Inspection, Section, Selection};

#[derive(PartialEq)]
pub struct Inspector {
    pub inspection: Option<Rc<Inspection>>,
    /// What is selected, whether or not it is there now.
    pub selected: Option<Selection>,
    pub ask: Ask,
}

impl Part for Inspector {
    fn draw(&self) -> Html {
        let Some(inspection) = &self.inspection else {
            let why = match self.selected {
                Some(_) => {
                    "What you selected is not there at this moment: a message arrives, a log is cut, a node stops."
                }
                None => "Select anything on the stage: a broker, a partition, a record, a message on its way.",
            };
            return html! { <p class="hint">{ why }</p> };
        };
        html! {
            <div class="inspection">
                <div class="bar">
                    <h2>{ &inspection.title }</h2>
                    if let Some(thing) = self.selected.as_ref().and_then(Thing::of) {
                        <button aria-label="Manage what is selected" onclick={on(&self.ask, Command::Manage(thing))}>{ "Manage" }</button>
                    }
                    if let Some(Selection::Message(message)) = self.selected {
                        { for Intervention::ALL.map(|what| html! {
                            <button title={what.effect()} onclick={on(&self.ask, Command::Intervene(message, what))}>{ what.name() }</button>
                        }) }
                    }
                </div>
                if let Some(about) = &inspection.about {
                    <p class="about">{ about }</p>
                }
                <div class="sections">{ for inspection.sections.iter().map(|section| show(section, &self.ask)) }</div>
                if let Some(bytes) = &inspection.bytes {
                    <h3>{ "Bytes" }</h3>
                    <pre tabindex="0">{ bytes }</pre>
                }
            </div>
        }
    }
}

fn show(section: &Section, ask: &Ask) -> Html {
    html! {
        <section>
            <h3>{ &section.title }</h3>
            <dl>
                { for section.rows.iter().map(|row| html! {
                    <div>
                        <dt>{ &row.name }</dt>
                        <dd>{ &row.value }if let Some(event) = row.why {
                            <button class="why" aria-label={format!("Why is {} {}?", row.name, row.value)}
                                onclick={on(ask, Command::Why(Some(event)))}>{ "why?" }</button>
                        }</dd>
                    </div>
                }) }
            </dl>
        </section>
    }
}
