//! A dialog over the page. The browser's own element keeps the focus inside and closes on Escape.

use wasm_bindgen::JsCast;
use web_sys::HtmlDialogElement;
use yew::prelude::*;

use crate::ui::add::Addition;
use crate::ui::command::{Ask, Command};
use crate::ui::manage::Thing;

/// What may lie over the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    Help,
    Embed,
    Lessons,
    Add(Addition),
    Manage(Thing),
    Cut,
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub name: AttrValue,
    pub ask: Ask,
    pub children: Html,
}

#[component]
pub fn Dialog(props: &Props) -> Html {
    let dialog = use_node_ref();
    {
        let dialog = dialog.clone();
        use_effect_with((), move |()| {
            let dialog = dialog.cast::<HtmlDialogElement>();
            if let Some(dialog) = &dialog {
                dialog.show_modal().ok();
            }
            // Closed, and not only taken away, it gives the focus back to what opened it.
            move || dialog.iter().for_each(HtmlDialogElement::close)
        });
    }
    let close = {
        let ask = props.ask.clone();
        Callback::from(move |_: Event| ask.emit(Command::Open(None)))
    };
    // A click beside what the dialog holds hits the dialog itself.
    let beside = {
        let ask = props.ask.clone();
        Callback::from(move |event: MouseEvent| {
            event.stop_propagation();
            let hit = event.target().and_then(|target| target.dyn_into::<HtmlDialogElement>().ok());
            if hit.is_some() {
                ask.emit(Command::Open(None));
            }
        })
    };
    let press = {
        let ask = props.ask.clone();
        Callback::from(move |_: MouseEvent| ask.emit(Command::Open(None)))
    };
    html! {
        <dialog ref={dialog} aria-label={props.name.clone()} onclose={close} onclick={beside}>
            <div class="sheet">
                { props.children.clone() }
                <p class="closing"><button class="primary" onclick={press}>{ "Close" }</button></p>
            </div>
        </dialog>
    }
}
