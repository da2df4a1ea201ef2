//! The console: the scenario language, a line at a time, here and now.

use std::rc::Rc;

use web_sys::HtmlInputElement;
use yew::prelude::*;

use crate::ui::command::{Ask, Command};

/// A line of the console's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub kind: Kind,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the person typed or clicked, with when.
    Line,
    /// A condition that was asked for holds.
    Holds,
    Error,
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub log: Rc<Vec<Said>>,
    pub ask: Ask,
}

#[component]
pub fn Console(props: &Props) -> Html {
    let text = use_state(String::new);
    let earlier = use_mut_ref(Vec::<String>::new);
    let back = use_mut_ref(|| 0_usize);
    let end = use_node_ref();
    {
        let end = end.clone();
        use_effect_with(props.log.len(), move |_| {
            if let Some(log) = end.cast::<web_sys::Element>() {
                log.set_scroll_top(log.scroll_height());
            }
        });
    }
    let submit = {
        let (ask, text, earlier, back) = (props.ask.clone(), text.clone(), earlier.clone(), back.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let line = text.trim().to_string();
            if !line.is_empty() {
                earlier.borrow_mut().push(line.clone());
                *back.borrow_mut() = 0;
                text.set(String::new());
                ask.emit(Command::Type(line));
            }
        })
    };
    let recall = {
        let text = text.clone();
        Callback::from(move |event: KeyboardEvent| {
            let step: isize = match event.key().as_str() {
                "ArrowUp" => 1,
                "ArrowDown" => -1,
                _ => return,
            };
            event.prevent_default();
            let (earlier, mut back) = (earlier.borrow(), back.borrow_mut());
            *back = back.saturating_add_signed(step).min(earlier.len());
            text.set(if *back == 0 { String::new() } else { earlier[earlier.len() - *back].clone() });
        })
    };
    let input = {
        let text = text.clone();
        Callback::from(move |event: InputEvent| text.set(event.target_unchecked_into::<HtmlInputElement>().value()))
    };
    html! {
        <div class="console">
            <div ref={end} class="output" role="log" aria-label="Console output" tabindex="0">
                if props.log.is_empty() {
                    <p class="hint">{ "Whatever you do on the page is a line of this language. Try " }<code>{ "send app orders alice=paid" }</code>{ ", " }<code>{ "freeze broker 2" }</code>{ ", " }<code>{ "wait 1min" }</code>{ " or " }<code>{ "help" }</code>{ "." }</p>
                }
                { for props.log.iter().map(|said| html! {
                    <p class={match said.kind { Kind::Line => "line", Kind::Holds => "holds", Kind::Error => "error" }}>{ &said.text }</p>
                }) }
            </div>
            <form onsubmit={submit}>
                <span aria-hidden="true">{ "›" }</span>
                <input type="text" aria-label="Console input" value={(*text).clone()} oninput={input} onkeydown={recall}
                    placeholder="kill broker leader:orders-0" maxlength="2000" spellcheck="false" autocomplete="off" autocapitalize="off" />
            </form>
        </div>
    }
}
