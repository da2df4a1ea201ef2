//! A form that becomes a line of the script, as `view::forms` describes it.

use web_sys::HtmlSelectElement;
use yew::prelude::*;

use crate::ui::command::{Ask, Command, on};
use crate::ui::form::{Text, Typed, sets, submits};
use crate::ui::part::part;
use crate::view::forms::{Field, Form};

/// A form, or a button with what comes of it beside it.
pub fn form(form: Form, class: &'static str, ask: &Ask) -> Html {
    if form.fields.is_empty() {
        return act(ask, class, &form.button, form.before, form.effect);
    }
    let key = form.button.clone();
    html! { <LineForm {key} {form} {class} ask={ask.clone()} /> }
}

/// A button that acts and closes the dialog, with what comes of it beside it.
pub fn act(ask: &Ask, class: &'static str, name: &str, line: String, effect: &str) -> Html {
    html! {
        <p class="act"><button {class} onclick={on(ask, Command::Add(line))}>{ name.to_string() }</button><small>{ effect.to_string() }</small></p>
    }
}

#[derive(Properties, PartialEq)]
struct Props {
    form: Form,
    class: &'static str,
    ask: Ask,
}

/// What has been typed stays when it is refused.
#[component]
fn LineForm(props: &Props) -> Html {
    let typed = use_state(Typed::new);
    let said = |name: &str| typed.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
    let line = props.form.line(said);
    let set = sets(&typed);
    let field = |field: &Field| {
        let value = said(field.name).unwrap_or(&field.start).to_string();
        let tell = {
            let (set, name) = (set.clone(), field.name);
            Callback::from(move |value: String| set.emit((name.to_string(), value)))
        };
        html! { <label><code>{ field.name }</code>{ input(field, value, tell) }if !field.meaning.is_empty() { <small>{ field.meaning }</small> }</label> }
    };
    html! {
        <form class="fields to-line" aria-label={props.form.button.clone()} onsubmit={submits(&props.ask, line.clone())}>
            { for props.form.fields.iter().map(field) }
            <p class="act"><button type="submit" class={props.class}>{ &props.form.button }</button><code>{ line }</code></p>
            if !props.form.effect.is_empty() { <small>{ props.form.effect }</small> }
        </form>
    }
}

fn input(field: &Field, value: String, tell: Callback<String>) -> Html {
    if field.choices.is_empty() {
        return part(Text { name: field.name, value, example: field.example.clone().into(), set: tell });
    }
    let chosen = move |event: Event| tell.emit(event.target_unchecked_into::<HtmlSelectElement>().value());
    html! {
        <select aria-label={field.name} onchange={chosen}>
            { for field.choices.iter().map(|(shown, written)| html! {
                <option value={written.clone()} selected={*written == value}>{ shown }</option>
            }) }
        </select>
    }
}
