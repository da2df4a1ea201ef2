//! What is asked of the page, carried out.

use std::rc::Rc;

use gloo::timers::callback::Timeout;
use yew::prelude::*;

use super::lessons::fetch_lesson;
use super::{App, EVENTS_SHOWN, LOG_KEPT, Msg};
use crate::lesson;
use crate::scenario::words::{QUESTIONS, VERBS};
use crate::ui::add::Addition;
use crate::ui::browser::{self, window};
use crate::ui::command::{Command, Tab};
use crate::ui::console::{Kind, Said};
use crate::ui::dialog::Over;
use crate::ui::session::Session;
use crate::ui::theme;
use crate::view::inspect::Selection;

impl App {
    pub(super) fn carry_out(&mut self, ctx: &Context<App>, command: Command) {
        self.rewound = matches!(
            command,
            Command::Seek(_)
                | Command::StepBack
                | Command::PreviousEvent
                | Command::JumpToEvent(_)
                | Command::Part(_)
                | Command::Onward(_)
                | Command::Compare(_)
        );
        match command {
            Command::Act(line) => {
                self.act(&line, false);
            }
            Command::Type(line) if line == "help" => self.tell_the_language(),
            Command::Type(line) => self.act(&line, true),
            Command::Intervene(message, what) => {
                self.rewound = true;
                self.acted_by_typing = false;
                let refused = self.session.intervene(message, what).err().unwrap_or_default();
                self.problems.clear();
                self.refuse(refused);
            }
            Command::Play(playing) => self.session.set_playing(playing),
            Command::Step => self.session.step_forward(),
            Command::StepBack => self.session.step_back(),
            Command::NextEvent => self.session.next_event(),
            Command::PreviousEvent => self.session.previous_event(),
            Command::JumpToNow => self.session.jump_to_now(),
            Command::Seek(at) => self.session.seek(at),
            Command::JumpToEvent(id) => self.session.jump_to_event(id),
            Command::Speed(speed) => self.session.set_speed(speed),
            Command::Select(selection) => {
                // A message would be gone before its fields were read.
                if matches!(selection, Selection::Message(_)) {
                    self.session.set_playing(false);
                }
                self.selection = Some(selection);
                self.tab = Tab::Inspector;
                browser::come_into_view(".dock");
            }
            Command::Why(id) => {
                self.why = id;
                if id.is_some() && self.tab != Tab::Events && browser::prefers("(max-width: 1000px)") {
                    self.tab = Tab::Events;
                }
            }
            Command::Show(tab) => {
                self.tab = tab;
                if tab == Tab::Console {
                    Timeout::new(0, || browser::focus(".console input")).forget();
                }
            }
            Command::OnlyWhatMatters(only) => {
                self.only_what_matters = only;
                self.shown.events = Rc::new(self.session.events(only, EVENTS_SHOWN));
            }
            Command::Mute(family) => {
                let mut muted = (*self.muted).clone();
                match muted.iter().position(|other| *other == family) {
                    Some(index) => {
                        muted.remove(index);
                    }
                    None => muted.push(family),
                }
                self.muted = Rc::new(muted);
            }
            Command::Theme => {
                theme::switch();
                ctx.link().send_message(Msg::Themed);
            }
            Command::Lesson(id) => {
                if let Some((_, lesson)) = lesson::find(id) {
                    fetch_lesson(ctx, lesson, 0);
                }
            }
            Command::Part(part) => self.session.go_to_part(part),
            Command::Answer(choice) => self.session.answer(choice),
            Command::Present => self.presenting = !self.presenting,
            Command::Onward(onward) if self.session.has_parts() => self.session.turn_page(onward),
            Command::Onward(true) => self.session.next_event(),
            Command::Onward(false) => self.session.previous_event(),
            Command::Open(over) => {
                self.over = over;
                self.problems.clear();
            }
            Command::Add(line) if self.over == Some(Over::Add(Addition::Cluster)) => match Session::open(&line) {
                Ok(session) => {
                    self.look_at(session, "A new cluster".to_string(), Vec::new());
                    browser::replace_address("#");
                }
                Err(problems) => self.problems = problems,
            },
            Command::Add(line) => {
                let refused = self.act_with(&line, false, Session::try_to_act);
                if !refused {
                    self.over = None;
                }
            }
            Command::Compare(id) => self.shown.comparison = id.and_then(|id| self.session.compare(id)).map(Rc::new),
            Command::GoTo(id) => {
                self.rewound = true;
                self.shown.comparison = None;
                self.session.go_to(id);
            }
            Command::Rename(id, name) => {
                self.session.rename(id, &name);
                if let Some(comparison) = self.shown.comparison.as_mut().filter(|open| Some(open.id) == id) {
                    Rc::make_mut(comparison).with = self.session.name_of(id);
                }
            }
            Command::Forget(id) => {
                self.shown.comparison = None;
                self.session.forget(id);
            }
            Command::Manage(thing) => {
                self.settings = self.session.settings_of(&thing);
                self.problems.clear();
                self.over = Some(Over::Manage(thing));
            }
            Command::Link(link) => {
                let lines = self.session.cut_or_heal(&link);
                self.act(&lines, false);
            }
            Command::Zoom(zoom) => Rc::make_mut(&mut self.looking).change(zoom, &self.shown.stage),
            Command::Share => self.share(ctx),
            Command::Dismiss => {
                self.problems.clear();
                self.why = None;
                self.selection = None;
            }
        }
    }

    fn act(&mut self, line: &str, typed: bool) {
        self.act_with(line, typed, Session::act);
    }

    /// What a line of the console can begin with.
    fn tell_the_language(&mut self) {
        self.say(Kind::Line, format!("A line begins with: {}.", VERBS.join(", ")));
        self.say(Kind::Line, format!("`expect`, `until` and `always` ask about: {}.", QUESTIONS.join(", ")));
        self.say(Kind::Line, "What is wrong with a line is told with what would be right.".to_string());
    }

    /// Whether it was refused.
    fn act_with(&mut self, line: &str, typed: bool, act: fn(&mut Session, &str) -> Result<(), Vec<String>>) -> bool {
        self.shown.comparison = None;
        self.rewound = self.session.is_in_past();
        let now = self.session.now();
        self.say(Kind::Line, format!("{now}  {line}"));
        let refused = act(&mut self.session, line).err().unwrap_or_default();
        let is_refused = !refused.is_empty();
        self.acted_by_typing = typed;
        self.problems.clear();
        self.refuse(refused);
        is_refused
    }

    /// Says why something was not done: where it was asked for.
    pub(super) fn refuse(&mut self, problems: Vec<String>) {
        for problem in &problems {
            self.say(Kind::Error, problem.clone());
        }
        if !self.acted_by_typing && !problems.is_empty() {
            self.problems = problems;
        }
    }

    pub(super) fn say(&mut self, kind: Kind, text: String) {
        let log = Rc::make_mut(&mut self.log);
        log.push(Said { kind, text });
        let surplus = log.len().saturating_sub(LOG_KEPT);
        log.drain(..surplus);
    }

    /// The whole run, up to here, as a link.
    fn share(&mut self, ctx: &Context<App>) {
        let link = match self.session.link() {
            Ok(link) => link,
            Err(problem) => {
                self.problems = vec![problem];
                return;
            }
        };
        if !browser::replace_address(&link) {
            self.problems = vec![
                "The browser does not let this page change its address: the link cannot be made here.".to_string(),
            ];
            return;
        }
        browser::copy(&window().location().href().unwrap_or_default());
        self.shared = true;
        let calm = ctx.link().callback(|()| Msg::Calm);
        self.calm = Some(Timeout::new(2_500, move || calm.emit(())));
    }
}
