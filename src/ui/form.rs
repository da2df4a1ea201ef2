//! Forms for settings by Kafka's names: what is left empty stays as it is.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::scenario::lex::quote;
use crate::sorted::SortedMap;
use crate::ui::command::{Ask, Command};
use crate::view::settings::SettingRow;

/// The first of a table are those that are asked for most; the others unfold.
const FIRST: usize = 4;

/// What was typed or chosen, by setting.
pub type Typed = SortedMap<String, String>;

/// Sends the form as a line of the script.
pub fn submits(ask: &Ask, line: String) -> Callback<SubmitEvent> {
    let ask = ask.clone();
    Callback::from(move |event: SubmitEvent| {
        event.prevent_default();
        ask.emit(Command::Add(line.clone()));
    })
}

/// Notes what is typed under a name.
pub fn sets(typed: &UseStateHandle<Typed>) -> Callback<(String, String)> {
    let typed = typed.clone();
    Callback::from(move |(name, value): (String, String)| {
        let mut changed = (*typed).clone();
        changed.insert(name, value);
        typed.set(changed);
    })
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub rows: Rc<Vec<SettingRow>>,
    /// What is set now.
    #[prop_or_default]
    pub now: Vec<(String, String)>,
    pub typed: Typed,
    pub set: Callback<(String, String)>,
}

/// One line for each setting: its name, a field that shows the default, its meaning.
#[component]
pub fn Settings(props: &Props) -> Html {
    let field = |row: &SettingRow| {
        let now = props.now.iter().find(|(name, _)| name == row.name).map(|(_, value)| value.clone());
        html! { <Setting key={row.name} row={row.clone()} typed={props.typed.get(row.name).cloned()} {now} set={props.set.clone()} /> }
    };
    let is_set = |row: &&SettingRow| props.now.iter().any(|(name, _)| name == row.name);
    let (mut first, mut rest): (Vec<&SettingRow>, Vec<&SettingRow>) =
        (props.rows.iter().take(FIRST).collect(), props.rows.iter().skip(FIRST).collect());
    // What has been set is not hidden.
    first.extend(rest.extract_if(.., |row| is_set(&&**row)));
    html! {
        <>
            { for first.into_iter().map(field) }
            <details>
                <summary>{ format!("{} more settings", rest.len()) }</summary>
                <div class="fields">{ for rest.into_iter().map(field) }</div>
            </details>
        </>
    }
}

#[derive(Properties, PartialEq)]
struct SettingProps {
    row: SettingRow,
    typed: Option<String>,
    now: Option<String>,
    set: Callback<(String, String)>,
}

#[component]
fn Setting(props: &SettingProps) -> Html {
    let row = &props.row;
    let tell = {
        let (set, name) = (props.set.clone(), row.name.to_string());
        move |value: String| set.emit((name.clone(), value))
    };
    let value = props.typed.clone().or(props.now.clone()).unwrap_or_default();
    let default = if row.default.is_empty() { "empty" } else { row.default };
    let input = if row.choices.is_empty() {
        html! { <Text name={row.name} {value} example={default} set={Callback::from(tell)} /> }
    } else {
        let chosen =
            Callback::from(move |event: Event| tell(event.target_unchecked_into::<HtmlSelectElement>().value()));
        html! {
            <select aria-label={row.name} onchange={chosen}>
                <option value="" selected={value.is_empty()}>{ format!("{default} (default)") }</option>
                { for row.choices.iter().map(|choice| html! {
                    <option value={choice.clone()} selected={*choice == value}>{ choice }</option>
                }) }
            </select>
        }
    };
    html! {
        <label class={props.now.is_some().then_some("is-set")}>
            <code>{ row.name }</code>{ input }
            <small>{ row.meaning }<span class="valid">{ format!(" Default {default}") }{ if row.valid.is_empty() { ".".to_string() } else { format!(", valid {}.", row.valid) } }</span></small>
        </label>
    }
}

#[derive(Properties, PartialEq)]
pub struct TextProps {
    pub name: &'static str,
    pub value: String,
    pub example: AttrValue,
    pub set: Callback<String>,
}

/// A field for a word; it shows what stands for it while it is empty.
#[component]
pub fn Text(props: &TextProps) -> Html {
    let tell = {
        let set = props.set.clone();
        move |event: &web_sys::Event| {
            let field = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
            set.emit(field.map(|field| field.value()).unwrap_or_default());
        }
    };
    let changed = tell.clone();
    html! {
        <input type="text" aria-label={props.name} value={props.value.clone()} placeholder={props.example.clone()} maxlength="400" spellcheck="false"
            autocomplete="off" oninput={move |event: InputEvent| tell(&event)} onchange={move |event: Event| changed(&event)} />
    }
}

/// ` name=value` for what was typed; what was set and is emptied goes back to the default: ` name=`.
pub fn options(rows: &[SettingRow], typed: &Typed, now: &[(String, String)]) -> String {
    let mut line = String::new();
    for row in rows {
        let Some(value) = typed.get(row.name).map(|value| value.trim()) else { continue };
        let old = now.iter().find(|(name, _)| name == row.name).map(|(_, value)| value.as_str());
        if value.is_empty() && old.is_some() {
            line.push_str(&format!(" {}=", row.name));
        } else if !value.is_empty() && old != Some(value) {
            line.push_str(&format!(" {}={}", row.name, quote(value, &['='])));
        }
    }
    line
}
