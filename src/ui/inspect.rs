//! The inspector: everything about the selected thing.

use std::rc::Rc;

use yew::prelude::*;

use crate::view::inspect::{Inspection, Section};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub inspection: Option<Rc<Inspection>>,
    /// Something is selected, whether or not it is there now.
    pub selected: bool,
}

#[component]
pub fn Inspector(props: &Props) -> Html {
    let Some(inspection) = &props.inspection else {
        let why = if props.selected {
            "What you selected is not there at this moment: a message arrives, a log is cut, a node stops."
        } else {
            "Select anything on the stage: a broker, a partition, a record, a message on its way."
        };
        return html! { <p class="hint">{ why }</p> };
    };
    html! {
        <div class="inspection">
            <h3>{ &inspection.title }</h3>
            <div class="sections">{ for inspection.sections.iter().map(section) }</div>
            if let Some(bytes) = &inspection.bytes {
                <h4>{ "Bytes on the wire" }</h4>
                <pre tabindex="0">{ bytes }</pre>
            }
        </div>
    }
}

fn section(section: &Section) -> Html {
    html! {
        <section>
            <h4>{ &section.title }</h4>
            <dl>
                { for section.rows.iter().map(|(name, value)| html! { <div><dt>{ name }</dt><dd>{ value }</dd></div> }) }
            </dl>
        </section>
    }
}
