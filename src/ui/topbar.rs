//! The top bar: what this is, which scenario is open, and what concerns the page as a whole.

use yew::prelude::*;

use crate::ui::add::Addition;
use crate::ui::command::{Ask, Command, on};
use crate::ui::dialog::{Dialog, Over};
use crate::ui::part::Part;

#[derive(PartialEq)]
pub struct TopBar {
    pub scenario: AttrValue,
    pub shared: bool,
    pub presenting: bool,
    pub ask: Ask,
}

// What a narrow window has no room for becomes a sign, or unfolds as the browser's own popover.
impl Part for TopBar {
    fn draw(&self) -> Html {
        let ask = &self.ask;
        let share = if self.shared { "Link copied" } else { "Share" };
        html! {
            <header class="topbar">
                <h1 class="logo">{ logo() }<span>{ "Highwater" }</span></h1>
                <span class="scenario" title={self.scenario.clone()}>{ &self.scenario }</span>
                <span class="spacer" />
                <button aria-label="Lessons" title="True stories, a few minutes each (l)"
                    onclick={on(ask, Command::Open(Some(Over::Lessons)))}>{ "Lessons" }</button>
                <div id="more" class="entries" popover="auto">
                    <button aria-label="New cluster" popovertarget="more" popovertargetaction="hide"
                        title="Another cluster, as you want it"
                        onclick={on(ask, Command::Open(Some(Over::Add(Addition::Cluster))))}>{ "New…" }</button>
                    <button aria-label="Presenter mode" aria-pressed={self.presenting.to_string()}
                        popovertarget="more" popovertargetaction="hide"
                        title="Larger, for a room; Page Up and Page Down turn the pages (b)"
                        onclick={on(ask, Command::Present)}>{ "Present" }</button>
                </div>
                <button class="embed" aria-label="Embed" title="Show this run inside a page of yours"
                    onclick={on(ask, Command::Open(Some(Over::Embed)))}>{ "Embed" }</button>
                <button class="icon" aria-label="Theme" title="Light, dark, and both with high contrast"
                    onclick={on(ask, Command::Theme)}>{ half_lit() }</button>
                <button class="icon" aria-label="Help" title="What you see, and the keys (?)"
                    onclick={on(ask, Command::Open(Some(Over::Help)))}><b aria-hidden="true">{ "?" }</b></button>
                <button class="icon unfold" aria-label="More" popovertarget="more">{ "⋯" }</button>
                <button class="primary" aria-label="Share" title="Copy a link to this very run"
                    onclick={on(ask, Command::Share)}>{ share }</button>
            </header>
        }
    }
}

/// Light on one side, dark on the other.
fn half_lit() -> Html {
    html! {
        <svg viewBox="0 0 20 20" aria-hidden="true">
            <circle cx="10" cy="10" r="6.5" fill="none" stroke="currentColor" stroke-width="1.6" />
            <path d="M10 3.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
        </svg>
    }
}

/// Three logs, and the water that they all reach.
pub fn logo() -> Html {
    html! {
        <svg class="mark" viewBox="0 0 26 24" aria-hidden="true">
            <rect x="2" y="4" width="6" height="17" rx="2" />
            <rect x="10" y="1.5" width="6" height="19.5" rx="2" />
            <rect x="18" y="7" width="6" height="14" rx="2" />
            <path d="M0.5 12.5q3.1-3.6 6.2 0t6.3 0 6.2 0 6.3 0" />
        </svg>
    }
}

impl Part for Help {
    fn draw(&self) -> Html {
        let keys = [
            ("Space", "play or pause"),
            (".  ,", "one step forward, one step back"),
            ("n  p", "next event, previous event"),
            ("1 – 9", "select a broker"),
            ("k", "kill or start the selected broker"),
            ("+  -", "zoom in, zoom out"),
            ("0", "zoom to what fits"),
            ("x", "cut the network"),
            ("⇧ ← →", "along a log, from a cell"),
            ("/", "type into the console"),
            ("l", "lessons"),
            ("b", "presenter mode: larger, for a room"),
            ("PgDn", "presenting: next part or event"),
            ("PgUp", "presenting: previous part or event"),
            ("?", "this help"),
            ("Esc", "close"),
        ];
        html! {
            <Dialog name="Help" ask={self.ask.clone()}>
                    <h2>{ "A Kafka cluster in this tab" }</h2>
                    <p>{ "Every broker, controller and client follows Kafka 4.2's rules, request by request. \
                         Nothing here is a recording: break it and see." }</p>
                    <dl class="legend">
                        <dt><span class="sample committed">{ "a" }</span></dt>
                        <dd>{ "A record. Its colour and mark are its key’s, its number is its offset." }</dd>
                        <dt><span class="sample open">{ "a" }</span></dt>
                        <dd>{ "Above the high watermark: not on all in-sync replicas yet, nobody may read it." }</dd>
                        <dt><span class="sample high-watermark" /></dt>
                        <dd>{ "The high watermark, as this replica knows it." }</dd>
                        <dt><span class="sample leader">{ "★" }</span></dt>
                        <dd>{ "The leader, which producers and consumers talk to." }</dd>
                        <dt><span class="sample window" /></dt>
                        <dd>{ "Read but not committed: delivered again if the consumer dies now." }</dd>
                    </dl>
                    <p>{ "The panels below: what was promised and kept, what happened and why, any part up close, Kafka’s own metrics as \
                         charts, every message on its way, the script’s console, other futures, all partitions as a table." }</p>
                    <p>{ "Drag the time to see the cluster as it was. Act there, and another future begins." }</p>
                    <dl class="keys">
                        { for keys.iter().map(|(key, what)| html! { <><dt><kbd>{ *key }</kbd></dt><dd>{ *what }</dd></> }) }
                    </dl>
            </Dialog>
        }
    }
}

/// What you see, and the keys.
#[derive(PartialEq)]
pub struct Help {
    pub ask: Ask,
}
