//! A lesson beside the stage: what is told, what is asked, what the reader is to do, and the way
//! through its parts. And the list of all lessons.

use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};
use yew::prelude::*;

use crate::lesson::{LESSONS, Lesson};
use crate::ui::command::{Ask, Command, on};
use crate::ui::dialog::{Dialog, Over};
use crate::ui::part::{Part, part};
use crate::ui::session::{GoalView, LessonView, QuestionView};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub view: Option<Rc<LessonView>>,
    pub ask: Ask,
}

#[component]
pub fn LessonPanel(props: &Props) -> Html {
    let ask = &props.ask;
    let panel = use_node_ref();
    {
        // What was told last is in view.
        let (panel, view) = (panel.clone(), props.view.as_ref());
        let told = view.map(|view| (view.part, view.captions.len(), view.question.is_some(), view.goal, view.waits));
        use_effect_with(told, move |_| {
            let Some(lesson) = panel.cast::<Element>() else { return };
            let around = lesson.closest(".panel, .lesson-beside").ok().flatten();
            // The way onward always stands at the bottom, below what was told.
            let onward = lesson.query_selector(".onward").ok().flatten();
            let last = onward.as_ref().and_then(|onward| onward.previous_element_sibling());
            let (Some(around), Some(onward), Some(last)) = (around, html_element(onward), html_element(last)) else {
                return;
            };
            let bottom = last.offset_top() + last.offset_height() + onward.offset_height();
            around.set_scroll_top((bottom - around.client_height()).max(0));
        });
    }
    let Some(view) = &props.view else {
        return html! {
            <div class="no-lesson">
                <p class="hint">{ "No lesson is open. Each takes a few minutes, tells a true story with this very cluster, and lets you act in it." }</p>
                <button onclick={on(ask, Command::Open(Some(Over::Lessons)))}>{ "Choose a lesson" }</button>
            </div>
        };
    };
    html! {
        <div ref={panel} class="lesson">
            { part(Parts { view: view.clone(), ask: ask.clone() }) }
            <div class="telling">
                <h2>{ &view.parts[view.part].title }</h2>
                <div class="told" aria-live="polite">
                    { for view.captions.iter().enumerate().map(|(index, text)| {
                        let class = (index + 1 < view.captions.len()).then_some("earlier");
                        html! { <p key={index} {class}>{ with_names(text) }</p> }
                    }) }
                    if view.left && view.goal.is_none() {
                        <p class="hint">{ "You have taken over: what happens now is yours. Every part can be taken up again." }</p>
                    }
                </div>
                if let Some(question) = &view.question { { part(Question { view: question.clone(), ask: ask.clone() }) } }
                if let Some(goal) = view.goal { { part(Goal { view: goal, left: view.left, ask: ask.clone() }) } }
                { part(Onward { view: view.clone(), ask: ask.clone() }) }
            </div>
        </div>
    }
}

fn html_element(element: Option<Element>) -> Option<HtmlElement> {
    element?.dyn_into().ok()
}

/// The parts, each a way to its beginning.
#[derive(PartialEq)]
struct Parts {
    view: Rc<LessonView>,
    ask: Ask,
}

impl Part for Parts {
    fn draw(&self) -> Html {
        let LessonView { parts, part, lesson, .. } = &*self.view;
        let title = lesson.map_or("The parts of this run", |lesson| lesson.title);
        html! {
            <nav class="parts" aria-label="Parts">
                <p class="label">{ title }</p>
                <ol>
                    { for parts.iter().enumerate().map(|(index, here)| {
                        let current = index == *part;
                        let (sign, word) = match (here.solved, here.seen) {
                            (true, _) => ("★", "solved"),
                            (_, true) => ("✓", "seen"),
                            _ => ("", ""),
                        };
                        html! {
                            <li key={index} class={current.then_some("current")}>
                                <button class="quiet" aria-current={current.then_some("step")} onclick={on(&self.ask, Command::Part(index))}>
                                    <span class="number">{ index + 1 }</span><span>{ &here.title }</span>
                                    if !sign.is_empty() { <span class="sign" role="img" aria-label={word}>{ sign }</span> }
                                </button>
                            </li>
                        }
                    }) }
                </ol>
            </nav>
        }
    }
}

/// Predict first; then it is shown.
#[derive(PartialEq)]
struct Question {
    view: QuestionView,
    ask: Ask,
}

impl Part for Question {
    fn draw(&self) -> Html {
        let QuestionView { text, choices, chosen, answer } = &self.view;
        let verdict = answer.as_ref().map(|answer| match chosen {
            Some(chosen) if chosen == answer => ("good", format!("You were right: {answer}.")),
            Some(chosen) => ("bad", format!("You said {chosen}. It is: {answer}.")),
            None => ("plain", format!("It is: {answer}.")),
        });
        html! {
            <fieldset class="predict">
                <legend>{ with_names(text) }</legend>
                { for choices.iter().map(|choice| {
                    let mine = chosen.as_ref() == Some(choice);
                    let right = answer.as_ref() == Some(choice);
                    html! {
                        <button class={classes!(mine.then_some("mine"), right.then_some("right"))} aria-pressed={mine.to_string()}
                            disabled={chosen.is_some() || answer.is_some()} onclick={on(&self.ask, Command::Answer(choice.clone()))}>{ choice }</button>
                    }
                }) }
                if let Some((class, words)) = verdict {
                    <p class={classes!("verdict", class)} aria-live="polite">{ words }</p>
                } else if chosen.is_some() {
                    <p class="verdict hint">{ "Let us see." }</p>
                }
            </fieldset>
        }
    }
}

/// Whether the reader has brought about what was asked for.
#[derive(PartialEq)]
struct Goal {
    view: GoalView,
    left: bool,
    ask: Ask,
}

impl Part for Goal {
    fn draw(&self) -> Html {
        let GoalView { solved, shown } = self.view;
        let (class, sign, words) = match (solved, shown) {
            (true, _) => ("solved", "★", "Solved. You did that."),
            (_, true) => ("shown", "✓", "That is one way to do it."),
            _ if self.left => ("open", "○", "Not yet. Time runs on: wait for it, or do something else."),
            _ => ("open", "○", "Now you: the cluster is yours, and it waits."),
        };
        html! {
            <p class={classes!("goal", class)} aria-live="polite">
                <span class="sign" aria-hidden="true">{ sign }</span><span>{ words }</span>
                if !solved && !shown && !self.left {
                    <button onclick={on(&self.ask, Command::Play(true))}>{ "Show me" }</button>
                }
            </p>
        }
    }
}

#[derive(PartialEq)]
struct Onward {
    view: Rc<LessonView>,
    ask: Ask,
}

impl Part for Onward {
    fn draw(&self) -> Html {
        let (view, ask) = (&self.view, &self.ask);
        let back = view.part.checked_sub(1).map(|part| html! {
            <button aria-label="Previous part" title="Previous part (Page Up)" onclick={on(ask, Command::Part(part))}>{ "Back" }</button>
        });
        let again = view.left.then(|| {
            html! {
                <button onclick={on(ask, Command::Part(view.part))}>{ "Tell this part again" }</button>
            }
        });
        let title = |part: usize| format!("Next: {}", view.parts[part].title);
        // What is asked and what is to be done come first.
        let asked =
            view.question.as_ref().is_some_and(|question| question.chosen.is_none() && question.answer.is_none());
        let to_do = view.goal.is_some_and(|goal| !goal.solved && !goal.shown);
        let solved = view.goal.is_some_and(|goal| goal.solved);
        let ready = (view.waits || solved) && !asked && !to_do;
        let class = ready.then_some("primary");
        let onward = if view.part + 1 < view.parts.len() {
            html! { <button {class} aria-label="Next part" title="Next part (Page Down)" onclick={on(ask, Command::Part(view.part + 1))}>{ title(view.part + 1) }</button> }
        } else if let Some(next) = view.lesson.and_then(following) {
            let class = view.over.then_some("primary");
            html! { <button {class} aria-label="Next lesson" onclick={on(ask, Command::Lesson(next.id))}>{ format!("Next lesson: {}", next.title) }</button> }
        } else {
            html! {}
        };
        html! {
            <p class="onward">
                { for back }
                { for again }
                <span class="spacer" />
                <span class="hint count">{ format!("{} of {}", view.part + 1, view.parts.len()) }</span>
                { onward }
            </p>
        }
    }
}

/// The lesson after this one.
fn following(lesson: &Lesson) -> Option<&'static Lesson> {
    let (place, _) = crate::lesson::find(lesson.id)?;
    LESSONS.get(place + 1)
}

/// Prose, in which names between backticks are Kafka's own.
fn with_names(text: &str) -> Html {
    let pieces = text.split('`').enumerate();
    html! { <>{ for pieces.map(|(index, piece)| if index % 2 == 1 { html! { <code>{ piece.to_string() }</code> } } else { html! { piece.to_string() } }) }</> }
}

/// All lessons in reading order.
#[derive(PartialEq)]
pub struct Lessons {
    /// The lessons that were told to their end on this device.
    pub finished: Vec<String>,
    pub ask: Ask,
}

impl Part for Lessons {
    fn draw(&self) -> Html {
        html! {
            <Dialog name="Lessons" ask={self.ask.clone()}>
                <h2>{ "Lessons" }</h2>
                <p>{ "True stories, told with the cluster on this page. You can stop, rewind and interfere at any moment." }</p>
                <ol class="lessons">
                    { for LESSONS.iter().enumerate().map(|(index, lesson)| {
                        let done = self.finished.iter().any(|id| id == lesson.id);
                        html! {
                            <li key={lesson.id}>
                                <span class="number" aria-hidden="true">{ if done { "✓".to_string() } else { (index + 1).to_string() } }</span>
                                <button class="title" onclick={on(&self.ask, Command::Lesson(lesson.id))}>{ lesson.title }</button>
                                <span class="minutes">{ format!("{} min", lesson.minutes) }if done { <span class="visually-hidden">{ ", done" }</span> }</span>
                                <span class="says">{ lesson.says }</span>
                            </li>
                        }
                    }) }
                </ol>
            </Dialog>
        }
    }
}
