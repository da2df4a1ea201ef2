//! Forms for settings by Kafka's names: what is left empty stays as it is.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::scenario::lex::quote;
use crate::sorted::SortedMap;
use crate::ui::command::{Ask, Command};
use crate::ui::part::{Part, keyed, part};
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

/// One line for each setting: its name, a field that shows the default, its meaning.
#[derive(PartialEq)]
pub struct Settings {
    pub rows: Rc<Vec<SettingRow>>,
    /// What is set now.
    pub now: Vec<(String, String)>,
    pub typed: Typed,
    pub set: Callback<(String, String)>,
}

impl Part for Settings {
    fn draw(&self) -> Html {
        let field = |row: &SettingRow| {
            let now = self.now.iter().find(|(name, _)| name == row.name).map(|(_, value)| value.clone());
            keyed(
                row.name,
                Setting { row: row.clone(), typed: self.typed.get(row.name).cloned(), now, set: self.set.clone() },
            )
        };
        let is_set = |row: &&SettingRow| self.now.iter().any(|(name, _)| name == row.name);
        let (mut first, mut rest): (Vec<&SettingRow>, Vec<&SettingRow>) =
            (self.rows.iter().take(FIRST).collect(), self.rows.iter().skip(FIRST).collect());
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
}

#[derive(PartialEq)]
struct Setting {
    row: SettingRow,
    typed: Option<String>,
    now: Option<String>,
    set: Callback<(String, String)>,
}

impl Part for Setting {
    fn draw(&self) -> Html {
        let row = &self.row;
        let tell = {
            let (set, name) = (self.set.clone(), row.name.to_string());
            move |value: String| set.emit((name.clone(), value))
        };
        let value = self.typed.clone().or(self.now.clone()).unwrap_or_default();
        let default = if row.default.is_empty() { "empty" } else { row.default };
        let input = if row.choices.is_empty() {
            part(Text { name: row.name, value, example: default, set: Callback::from(tell) })
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
            <label class={self.now.is_some().then_some("is-set")}>
                <code>{ row.name }</code>{ input }
                <small>{ row.meaning }<span class="valid">{ format!(" Default {default}") }{ if row.valid.is_empty() { ".".to_string() } else { format!(", valid {}.", row.valid) } }</span></small>
            </label>
        }
    }
}

/// A field for a word; it shows what stands for it while it is empty.
#[derive(PartialEq)]
pub struct Text {
    pub name: &'static str,
    pub value: String,
    pub example: &'static str,
    pub set: Callback<String>,
}

impl Part for Text {
    fn draw(&self) -> Html {
        let tell = {
            let set = self.set.clone();
            move |event: &web_sys::Event| {
                let field = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
                set.emit(field.map(|field| field.value()).unwrap_or_default());
            }
        };
        let changed = tell.clone();
        html! {
            <input type="text" aria-label={self.name} value={self.value.clone()} placeholder={self.example} maxlength="400" spellcheck="false"
                autocomplete="off" oninput={move |event: InputEvent| tell(&event)} onchange={move |event: Event| changed(&event)} />
        }
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
