//! The page inside another page: the chromeless form that `?embed=1` asks for, what it tells the page
//! around it, and the dialog that hands out the text for an `<iframe>`.

use js_sys::{Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlElement, HtmlSelectElement, UrlSearchParams};
use yew::prelude::*;

use crate::ui::browser::{self, document, window};
use crate::ui::command::Ask;
use crate::ui::dialog::Dialog;
use crate::ui::part::Part;
use crate::ui::topbar::logo;

/// How much of the page is there to be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controls {
    /// All but the top bar and the panels.
    All,
    /// The stage and a way to play it.
    Min,
    /// The stage alone.
    None,
}

/// What the address asks of an embedded page; `None` for the page by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedded {
    pub controls: Controls,
    pub theme: Option<String>,
}

/// Reads `?embed=1&controls=min&theme=dark`.
pub fn asked() -> Option<Embedded> {
    let query = query()?;
    if query.get("embed").is_none_or(|embed| embed == "0") {
        return None;
    }
    let controls = match query.get("controls").as_deref() {
        Some("none") => Controls::None,
        Some("min") => Controls::Min,
        _ => Controls::All,
    };
    Some(Embedded { controls, theme: query.get("theme") })
}

/// The scenario or lesson that stands in the query, written as a fragment.
pub fn scenario_in_query() -> Option<String> {
    let query = query()?;
    let step = query.get("step").map_or(String::new(), |step| format!("&step={step}"));
    let lesson = || Some(format!("#lesson={}{step}", query.get("lesson")?));
    query.get("s").map(|script| format!("#s={script}")).or_else(lesson)
}

fn query() -> Option<UrlSearchParams> {
    UrlSearchParams::new_with_str(&window().location().search().ok()?).ok()
}

/// Tells the page around this one something: an object with `source: "highwater"`, a `type` and more.
pub fn tell_host(kind: &str, more: &[(&str, JsValue)]) {
    let Ok(Some(parent)) = window().parent() else { return };
    if parent == window() {
        return;
    }
    let message = Object::new();
    let told = [("source", JsValue::from_str("highwater")), ("type", JsValue::from_str(kind))];
    for (name, value) in told.iter().chain(more) {
        Reflect::set(&message, &JsValue::from_str(name), value).ok();
    }
    // Nothing in it is secret, and whoever embeds the page may be anybody.
    parent.post_message(&message, "*").ok();
}

/// The room that the page wants, so that the page around it can make the frame as high.
pub fn size() -> (i32, i32) {
    let page = document().query_selector(".page").ok().flatten().and_then(|page| page.dyn_into::<HtmlElement>().ok());
    page.map_or((0, 0), |page| (page.offset_width(), page.offset_height()))
}

/// Whose picture this is, as a way to the whole page.
#[derive(PartialEq)]
pub struct Bar {
    pub scenario: AttrValue,
}

impl Part for Bar {
    fn draw(&self) -> Html {
        let location = window().location();
        let query = scenario_in_query().unwrap_or_else(|| location.hash().unwrap_or_default());
        let whole = format!("./{query}");
        html! {
            <header class="embed-bar">
                <h1 class="logo">{ logo() }{ "Highwater" }</h1>
                <span class="scenario" title={self.scenario.clone()}>{ &self.scenario }</span>
                <span class="spacer" />
                <a href={whole} target="_blank" rel="noopener">{ "Open the whole page" }</a>
            </header>
        }
    }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The fragment that holds the run, or why there is none.
    pub link: Result<AttrValue, AttrValue>,
    pub ask: Ask,
}

/// The text for an `<iframe>` that shows this very run.
#[component]
pub fn EmbedDialog(props: &Props) -> Html {
    let theme = use_state(String::new);
    let controls = use_state(String::new);
    let copied = use_state(|| false);
    let choose = |state: &UseStateHandle<String>| {
        let (state, copied) = (state.clone(), copied.clone());
        Callback::from(move |event: Event| {
            copied.set(false);
            state.set(event.target_unchecked_into::<HtmlSelectElement>().value());
        })
    };
    let offer = |chosen: &str, value: &'static str, word: &str| {
        html! { <option {value} selected={chosen == value}>{ word }</option> }
    };
    let content = match &props.link {
        Err(problem) => html! { <p>{ problem }</p> },
        Ok(link) => {
            let text = frame(link, &theme, &controls);
            let copy = {
                let (text, copied) = (text.clone(), copied.clone());
                Callback::from(move |_: MouseEvent| {
                    browser::copy(&text);
                    copied.set(true);
                })
            };
            html! {
                <>
                    <p>{ "Put this text into your page: it shows this run, up to the moment that you look at." }</p>
                    <div class="choices">
                        <label>{ "Controls" }
                            <select onchange={choose(&controls)}>
                                { offer(&controls, "", "all but the panels") }
                                { offer(&controls, "min", "play and time") }
                                { offer(&controls, "none", "none") }
                            </select>
                        </label>
                        <label>{ "Theme" }
                            <select onchange={choose(&theme)}>
                                { offer(&theme, "", "the reader’s") }
                                { offer(&theme, "light", "light") }
                                { offer(&theme, "dark", "dark") }
                            </select>
                        </label>
                    </div>
                    <textarea aria-label="Text for your page" readonly=true rows="6" spellcheck="false" value={text} />
                    <p><button onclick={copy}>{ if *copied { "Copied" } else { "Copy" } }</button></p>
                    <p class="hint">{ "The frame sends messages to its page: " }<code>{ "{source: \"highwater\", type: \"ready\" | \"size\" | \"step\" | \"solved\", …}" }</code></p>
                </>
            }
        }
    };
    html! {
        <Dialog name="Embed" ask={props.ask.clone()}>
            <h2>{ "Embed this run" }</h2>
            { content }
        </Dialog>
    }
}

fn frame(link: &str, theme: &str, controls: &str) -> String {
    let href = window().location().href().unwrap_or_default();
    let here = href.split(['?', '#']).next().unwrap_or_default();
    let option =
        |name: &str, value: &str| if value.is_empty() { String::new() } else { format!("&amp;{name}={value}") };
    let source = format!("{here}?embed=1{}{}{link}", option("controls", controls), option("theme", theme));
    format!(
        "<iframe src=\"{source}\" title=\"Highwater: a Kafka cluster\" width=\"100%\" height=\"720\" \
         style=\"border: 0\" loading=\"lazy\"></iframe>"
    )
}
