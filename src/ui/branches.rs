//! The futures that were left when somebody acted in the past: kept, named, compared, taken up again.

use std::rc::Rc;

use web_sys::HtmlInputElement;
use yew::prelude::*;

use crate::time::Instant;
use crate::ui::command::{Ask, Command, on};
use crate::ui::session::{Comparison, Future};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub futures: Rc<Vec<Future>>,
    pub end: Instant,
    pub comparison: Option<Rc<Comparison>>,
    pub ask: Ask,
}

#[component]
pub fn Branches(props: &Props) -> Html {
    let ask = &props.ask;
    if props.futures.is_empty() {
        return html! { <p class="hint">{ "One future so far. Drag the time back and do something else: the future that you leave is kept here." }</p> };
    }
    let longest =
        props.futures.iter().map(|future| future.end).max().unwrap_or(props.end).max(props.end).0.max(1) as f64;
    let bar = |from: Instant, to: Instant| {
        let style = format!("--from:{:.4};--to:{:.4}", from.0.max(0) as f64 / longest, to.0.max(0) as f64 / longest);
        html! { <span class="course" {style} aria-hidden="true"><b class="shared" /><b class="own" /></span> }
    };
    html! {
        <div class="branches">
            <ul>
                <li class="this"><b>{ "This future" }</b>{ bar(Instant::ZERO, props.end) }<span class="when">{ format!("to {}", props.end) }</span></li>
                { for props.futures.iter().map(|future| html! {
                    <li key={future.id}>
                        <input type="text" aria-label={format!("Name of {}", future.name)} value={future.name.clone()} maxlength="60"
                            onchange={rename(ask, future.id)} />
                        { bar(future.left_at, future.end) }
                        <span class="when">{ format!("left at {}, went to {}", future.left_at, future.end) }</span>
                        <span class="acts">
                            <button aria-label={format!("Compare with {}", future.name)} onclick={on(ask, Command::Compare(future.id))}>{ "Compare" }</button>
                            <button aria-label={format!("Go to {}", future.name)} onclick={on(ask, Command::GoTo(future.id))}>{ "Go there" }</button>
                            <button aria-label={format!("Delete {}", future.name)} onclick={on(ask, Command::Forget(future.id))}>{ "Delete" }</button>
                        </span>
                    </li>
                }) }
            </ul>
            if let Some(comparison) = &props.comparison { <Compared comparison={comparison.clone()} /> }
        </div>
    }
}

fn rename(ask: &Ask, id: u64) -> Callback<Event> {
    let ask = ask.clone();
    Callback::from(move |event: Event| {
        ask.emit(Command::Rename(id, event.target_unchecked_into::<HtmlInputElement>().value()))
    })
}

#[derive(Properties, PartialEq)]
struct ComparedProps {
    comparison: Rc<Comparison>,
}

/// In what two futures differ at the last instant that both have reached.
#[component]
fn Compared(props: &ComparedProps) -> Html {
    let Comparison { with, at, differences } = &*props.comparison;
    if differences.is_empty() {
        return html! { <p role="note">{ format!("At {at} this future and {with} have come to the same.") }</p> };
    }
    html! {
        <table class="partition-state" aria-label="Differences">
            <thead><tr><th scope="col">{ format!("At {at}") }</th><th scope="col">{ "This future" }</th><th scope="col">{ with }</th></tr></thead>
            <tbody>{ for differences.iter().map(|difference| html! {
                <tr><th scope="row">{ &difference.what }</th><td>{ &difference.here }</td><td>{ &difference.there }</td></tr>
            }) }</tbody>
        </table>
    }
}
