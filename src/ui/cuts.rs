//! The network: cutting links, one or a side from the rest; slow and lossy links; messages that go astray. On the stage a drag from one node to another does the same.

use std::rc::Rc;

use web_sys::HtmlSelectElement;
use yew::prelude::*;

use crate::sorted::SortedSet;
use crate::ui::add::Refused;
use crate::ui::command::{Ask, Command, on};
use crate::ui::dialog::Dialog;
use crate::ui::line_form::form;
use crate::ui::part::part;
use crate::view::forms;
use crate::view::links::client;
use crate::view::stage::Stage;

/// Two nodes by the names of their places on the page: `broker 1`, `controller c2`, `client app`.
pub type Link = (String, String);

/// How a script calls the node at a place: `1`, `c2`, `app`.
pub fn word(place: &str) -> String {
    match place.split_once(' ') {
        Some(("client", name)) => client(name),
        Some((_, name)) => name.to_string(),
        None => place.to_string(),
    }
}

/// Every node that is on the stage.
fn places(stage: &Stage) -> Vec<String> {
    let brokers = stage.brokers.iter().map(|broker| format!("broker {}", broker.id));
    let controllers = stage.controllers.iter().map(|chip| format!("controller {}", chip.name));
    brokers.chain(controllers).chain(stage.clients().map(|(_, name)| format!("client {name}"))).collect()
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub stage: Rc<Stage>,
    pub cuts: Rc<Vec<Link>>,
    pub problems: Vec<String>,
    pub ask: Ask,
}

#[component]
pub fn CutDialog(props: &Props) -> Html {
    let places = places(&props.stage);
    let side = use_state(SortedSet::<String>::new);
    let ends = use_state(|| (0_usize, 1_usize));
    let choose = |second: bool| {
        let ends = ends.clone();
        Callback::from(move |event: Event| {
            let chosen = event.target_unchecked_into::<HtmlSelectElement>().selected_index().max(0) as usize;
            ends.set(if second { (ends.0, chosen) } else { (chosen, ends.1) });
        })
    };
    let select = |name: &'static str, chosen: usize, second: bool| {
        html! {
            <select aria-label={name} onchange={choose(second)}>
                { for places.iter().enumerate().map(|(index, place)| html! { <option selected={index == chosen}>{ shown(place) }</option> }) }
            </select>
        }
    };
    let end = |index: usize| places.get(index).cloned().unwrap_or_default();
    let link = (end(ends.0), end(ends.1));
    let is_cut = |(a, b): &Link| props.cuts.iter().any(|(c, d)| (a, b) == (c, d) || (a, b) == (d, c));
    let toggle = |place: &String| {
        let (side, place) = (side.clone(), place.clone());
        Callback::from(move |_: Event| {
            let mut changed = (*side).clone();
            if !changed.remove(&place) {
                changed.insert(place.clone());
            }
            side.set(changed);
        })
    };
    let words = |chosen: bool| {
        let of_side = places.iter().filter(|place| side.contains(*place) == chosen);
        of_side.map(|place| word(place)).collect::<Vec<_>>().join(",")
    };
    let whole = side.is_empty() || side.len() >= places.len();
    let line = format!("cut {} | {}", words(true), words(false));
    html! {
        <Dialog name="Cut the network" ask={props.ask.clone()}>
            <h2>{ "Cut the network" }</h2>
            <p>{ "What is cut holds messages up, as a broken cable does. On the stage, drag from one node to another; a finger rests on the first for a moment." }</p>
            { part(Refused { problems: props.problems.clone() }) }
            <h3>{ "One link" }</h3>
            <div class="link-row">
                { select("From", ends.0, false) }{ "–" }{ select("To", ends.1, true) }
                <button disabled={link.0 == link.1} onclick={on(&props.ask, Command::Link(link.clone()))}>
                    { if is_cut(&link) { "Heal link" } else { "Cut link" } }
                </button>
            </div>
            <h3>{ "A side from the rest" }</h3>
            <div class="sides" role="group" aria-label="This side">
                { for places.iter().map(|place| html! {
                    <label class="check"><input type="checkbox" checked={side.contains(place)} onchange={toggle(place)} />{ shown(place) }</label>
                }) }
            </div>
            if !whole { <p class="as-line"><code>{ &line }</code></p> }
            <button class="primary" disabled={whole} onclick={on(&props.ask, Command::Add(line.clone()))}>{ "Cut this side from the rest" }</button>
            <h3>{ "A slow or lossy link" }</h3>
            { form(forms::link(&props.stage), "", &props.ask) }
            <h3>{ "The next message" }</h3>
            { form(forms::message(&props.stage), "", &props.ask) }
            if !props.cuts.is_empty() {
                <h3>{ "Cut now" }</h3>
                <ul class="cut-list">
                    { for props.cuts.iter().take(40).map(|link| {
                        let name = format!("{} – {}", shown(&link.0), shown(&link.1));
                        html! {
                            <li>{ &name }<button aria-label={format!("Heal {name}")} onclick={on(&props.ask, Command::Link(link.clone()))}>{ "Heal" }</button></li>
                        }
                    }) }
                </ul>
                <p class="act"><button class="start" onclick={on(&props.ask, Command::Add("heal".to_string()))}>{ "Heal everything" }</button></p>
            }
        </Dialog>
    }
}

/// As a person says it: `broker 1`, `c2`, `app`.
fn shown(place: &str) -> String {
    match place.split_once(' ') {
        Some(("broker", _)) | None => place.to_string(),
        Some(("client", name)) if client(name) != name => format!("consumer {name}"),
        Some((_, name)) => name.to_string(),
    }
}
