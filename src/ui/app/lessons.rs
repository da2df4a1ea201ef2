//! Lessons: fetched, begun, and remembered on this device when they were told to their end.

use yew::prelude::*;

use super::{App, Msg};
use crate::lesson::Lesson;
use crate::ui::browser;
use crate::ui::command::Tab;
use crate::ui::session::Session;

/// The lessons that were told to their end.
const FINISHED: &str = "highwater-lessons";

impl App {
    pub(super) fn begin_lesson(&mut self, lesson: &'static Lesson, part: usize, text: Option<String>) {
        self.awaited = false;
        let text = text.ok_or_else(|| vec![format!("The lesson “{}” cannot be loaded at the moment.", lesson.title)]);
        match text.and_then(|text| Session::open_lesson(lesson, &text, part)) {
            Ok(session) => {
                self.look_at(session, lesson.title.to_string(), Vec::new());
                self.tab = Tab::Lesson;
            }
            Err(problems) => self.problems = problems,
        }
    }

    /// The address leads to the present part; who has come to the end has finished the lesson.
    pub(super) fn turned_page(&mut self) {
        let Some((view, lesson)) = self.shown.lesson.as_ref().and_then(|view| Some((view, view.lesson?))) else {
            return;
        };
        if let Some(link) = self.session.lesson_link().filter(|_| self.embedded.is_none()) {
            browser::replace_address(&link);
        }
        let finished = finished();
        if view.over && !finished.iter().any(|id| id == lesson.id) {
            browser::keep(FINISHED, format!("{} {}", finished.join(" "), lesson.id).trim());
        }
    }
}

/// The lessons that were told to their end on this device.
pub fn finished() -> Vec<String> {
    browser::kept(FINISHED).unwrap_or_default().split(' ').map(str::to_string).collect()
}

/// A lesson lies beside the page as a file.
pub fn fetch_lesson(ctx: &Context<App>, lesson: &'static Lesson, part: usize) {
    let link = ctx.link().clone();
    let told = move |text| link.send_message(Msg::Lesson(lesson, part, text));
    browser::fetch(&format!("./lessons/{}.hw", lesson.id), told);
}
