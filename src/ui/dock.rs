//! The dock: panels beside one another, of which one is in front. The others stay there for whoever
//! does not look but reads; reaching into one brings it to the front. The console's line is always at hand.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use yew::prelude::*;

use crate::time::Instant;
use crate::ui::branches::Branches;
use crate::ui::command::{Ask, Command, Tab, on};
use crate::ui::console::{Console, Said};
use crate::ui::events::Events;
use crate::ui::focus;
use crate::ui::guarantees::Guarantees;
use crate::ui::inspect::Inspector;
use crate::ui::lesson::LessonPanel;
use crate::ui::metrics::Metrics;
use crate::ui::packets::{Legend, Packets};
use crate::ui::part::part;
use crate::ui::session::{Comparison, LessonView};
use crate::ui::table::PartitionState;
use crate::view::events::EventRow;
use crate::view::flights::{Family, Flight};
use crate::view::futures::Drawn;
use crate::view::guarantees::Guarantees as GuaranteesView;
use crate::view::inspect::{Inspection, Selection};
use crate::view::metrics::Metrics as MetricsView;
use crate::view::stage::Stage;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub tab: Tab,
    pub stage: Rc<Stage>,
    pub guarantees: Rc<GuaranteesView>,
    pub events: Rc<Vec<EventRow>>,
    pub causes: Option<Rc<Vec<EventRow>>>,
    pub only_what_matters: bool,
    pub inspection: Option<Rc<Inspection>>,
    pub selected: Option<Selection>,
    /// Only while in front.
    pub metrics: Option<Rc<MetricsView>>,
    /// Kept current while in front, or while time stands still.
    pub flights: Rc<Vec<Flight>>,
    pub now: Instant,
    pub muted: Rc<Vec<Family>>,
    pub log: Rc<Vec<Said>>,
    pub futures: Rc<Vec<Drawn>>,
    /// What the future that is looked at is called.
    pub future: AttrValue,
    pub end: Instant,
    pub comparison: Option<Rc<Comparison>>,
    pub lesson: Option<Rc<LessonView>>,
    pub ask: Ask,
}

#[component]
pub fn Dock(props: &Props) -> Html {
    let ask = &props.ask;
    // Where the tabs do not all fit, the chosen one is in view.
    let tabs = use_node_ref();
    {
        let tabs = tabs.clone();
        use_effect_with(props.tab, move |tab| {
            let Some(tabs) = tabs.cast::<web_sys::HtmlElement>() else { return };
            let place = Tab::ALL.iter().position(|other| other == tab).unwrap_or(0) as u32;
            let chosen = tabs.children().item(place).and_then(|chosen| chosen.dyn_into::<web_sys::HtmlElement>().ok());
            if let Some(chosen) = chosen {
                tabs.set_scroll_left(chosen.offset_left() + chosen.offset_width() + 40 - tabs.client_width());
            }
        });
    }
    let panel = |tab: Tab, content: Html| {
        // Events stand beside the panel in front, unless that takes all the room.
        let behind = props.tab != tab && (tab != Tab::Events || props.tab == Tab::Metrics);
        let reached = behind.then(|| on(ask, Command::Show(tab)));
        let class = classes!(
            "panel",
            format!("of-{}", slug(tab)),
            (props.tab == tab).then_some("front"),
            behind.then_some("behind")
        );
        // What is only read must be scrolled by keys too.
        let tabindex = matches!(tab, Tab::PartitionState | Tab::Guarantees | Tab::Lesson | Tab::Metrics).then_some("0");
        html! {
            <section key={tab.name()} {class} {tabindex} id={format!("panel-{}", slug(tab))} aria-label={tab.name()} onfocusin={reached}>{ content }</section>
        }
    };
    html! {
        <section class={classes!("dock", format!("shows-{}", slug(props.tab)))} aria-label="Panels" onkeydown={focus::step_over}>
            <div ref={tabs} class="tabs" role="tablist" aria-label="Panels" onkeydown={walk}>
                { for Tab::ALL.iter().map(|tab| {
                    let chosen = props.tab == *tab;
                    html! {
                        <button role="tab" aria-selected={chosen.to_string()} aria-controls={format!("panel-{}", slug(*tab))}
                            tabindex={if chosen { "0" } else { "-1" }} onclick={on(ask, Command::Show(*tab))}>{ tab.name() }</button>
                    }
                }) }
            </div>
            { panel(Tab::Guarantees, part(Guarantees { view: props.guarantees.clone(), ask: ask.clone() })) }
            { panel(Tab::Inspector, part(Inspector { inspection: props.inspection.clone(), selected: props.selected.clone(), ask: ask.clone() })) }
            { panel(Tab::Metrics, html! {
                if let Some(view) = &props.metrics {
                    <Metrics view={view.clone()} ask={ask.clone()} />
                } else {
                    <p class="hint">{ "Drawn while this panel is in front." }</p>
                }
            }) }
            { panel(Tab::Packets, html! { <>
                { part(Legend { muted: props.muted.clone(), ask: ask.clone() }) }
                { part(Packets { flights: props.flights.clone(), now: props.now, ask: ask.clone() }) }
            </> }) }
            { panel(Tab::Console, html! { <Console log={props.log.clone()} ask={ask.clone()} /> }) }
            { panel(Tab::Branches, html! {
                { part(Branches { futures: props.futures.clone(), name: props.future.clone(), end: props.end, comparison: props.comparison.clone(), ask: ask.clone() }) }
            }) }
            { panel(Tab::Lesson, html! { <LessonPanel view={props.lesson.clone()} ask={ask.clone()} /> }) }
            { panel(Tab::PartitionState, html! { <PartitionState stage={props.stage.clone()} /> }) }
            { panel(Tab::Events, html! {
                { part(Events { rows: props.events.clone(), causes: props.causes.clone(), only_what_matters: props.only_what_matters, ask: ask.clone() }) }
            }) }
            <div class="end visually-hidden" tabindex="-1" />
        </section>
    }
}

/// Arrow keys walk from tab to tab.
fn walk(event: KeyboardEvent) {
    let forward = match event.key().as_str() {
        "ArrowRight" => true,
        "ArrowLeft" => false,
        _ => return,
    };
    let Some(tab) = event.target().and_then(|target| target.dyn_into::<web_sys::HtmlElement>().ok()) else { return };
    let next = if forward { tab.next_element_sibling() } else { tab.previous_element_sibling() };
    if let Some(next) = next.and_then(|next| next.dyn_into::<web_sys::HtmlElement>().ok()) {
        next.focus().ok();
        next.click();
        event.prevent_default();
    }
}

fn slug(tab: Tab) -> &'static str {
    match tab {
        Tab::Guarantees => "guarantees",
        Tab::Events => "events",
        Tab::Inspector => "inspector",
        Tab::Metrics => "metrics",
        Tab::Packets => "packets",
        Tab::Console => "console",
        Tab::Branches => "branches",
        Tab::PartitionState => "partition-state",
        Tab::Lesson => "lesson",
    }
}
