//! What there is to see now: asked of the session; what did not change keeps its allocation.

use std::rc::Rc;

use super::{App, DROPPED, EVENTS_SHOWN, MEASURED_EVERY, NEWS_KEPT};
use crate::time::Instant;
use crate::ui::command::Tab;
use crate::ui::console::Kind;
use crate::ui::flights::Flown;
use crate::ui::metrics;
use crate::ui::session::Answer;
use crate::view::flights::Flight;

impl App {
    pub(super) fn look_at_flights(&mut self) {
        if self.position == self.session.position() {
            return;
        }
        self.position = self.session.position();
        let flights = self.session.flights().into_iter();
        let fly =
            |flight: Flight| Flown { from: self.session.place(flight.from), to: self.session.place(flight.to), flight };
        self.flown = flights.map(fly).collect();
    }

    /// Looks at everything again; what did not change keeps its allocation.
    pub(super) fn refresh(&mut self) {
        let stage = self.session.stage(&self.looking.focus(&self.shown.stage, self.fitting));
        if *self.shown.topics != *stage.topics {
            self.shown.topics = stage.topics.clone().into();
        }
        self.shown.stage = stage;
        // Of what stands still each record can be pointed at.
        self.brisk &= self.session.is_playing();
        self.turns = None;
        self.in_turn = false;
        keep(&mut self.shown.guarantees, self.session.guarantees());
        if self.session.has_other_events() || !self.only_what_matters {
            keep(&mut self.shown.events, self.session.events(self.only_what_matters, EVENTS_SHOWN));
        }
        self.shown.causes = self.why.map(|id| Rc::new(self.session.causes(id)));
        let inspection = self.selection.as_ref().and_then(|selection| self.session.inspect(selection));
        if inspection.as_ref() != self.shown.inspection.as_deref() {
            self.shown.inspection = inspection.map(Rc::new);
        }
        if self.looks_at_packets() {
            self.look_at_flights();
            self.shown.flights = Rc::new(self.flown.iter().map(|flown| flown.flight.clone()).collect());
        }
        self.look_at_metrics();
        self.shown.rate = self.session.rate();
        keep(&mut self.shown.cuts, self.session.cut_links());
        keep(&mut self.shown.futures, self.session.futures());
        self.session.look_at_lesson();
        let lesson = self.session.lesson();
        if lesson.as_ref() != self.shown.lesson.as_deref() {
            self.shown.lesson = lesson.map(Rc::new);
            self.turned_page();
        }
        let mut refused = Vec::new();
        for answer in self.session.answers() {
            match answer {
                Answer::Holds(text) => self.say(Kind::Holds, text),
                Answer::Refused(problem) => refused.push(problem),
            }
        }
        self.refuse(refused);
        let since = Some(self.session.beginning()).filter(|beginning| *beginning > Instant::ZERO);
        let dropped = since.is_some() && self.shown.since.is_none();
        self.shown.since = since;
        let mut sentences = self.session.news();
        if sentences.len() > NEWS_KEPT {
            // What set it off comes first, and nobody listens to a hundred leaders moving.
            let more = sentences.split_off(NEWS_KEPT - 1).len();
            sentences.push(format!("And {more} things more, in the list of events."));
        }
        for sentence in sentences.into_iter().chain(dropped.then(|| DROPPED.to_string())) {
            let id = self.news.last().map_or(0, |(id, _)| id + 1);
            self.news.push((id, sentence));
        }
        let surplus = self.news.len().saturating_sub(NEWS_KEPT);
        self.news.drain(..surplus);
    }

    /// Metrics are measured only for whoever looks at them.
    fn look_at_metrics(&mut self) {
        if self.tab != Tab::Metrics {
            self.shown.metrics = None;
            return;
        }
        let moves_on = self.session.is_playing() && !self.rewound && self.shown.metrics.is_some();
        if moves_on && self.last_refresh - self.measured_at < MEASURED_EVERY {
            return;
        }
        self.measured_at = self.last_refresh;
        let focus = self.focus();
        let metrics = self.session.metrics(focus.as_deref());
        if self.shown.metrics.as_deref() != Some(metrics) {
            self.shown.metrics = Some(Rc::new(metrics.clone()));
        }
    }

    pub(super) fn show_now_in_metrics(&mut self) {
        let span = self.shown.metrics.as_ref().map(|shown| shown.span);
        let hand = span.map(|span| metrics::hand(self.session.now(), self.session.end(), span));
        if self.hand != hand {
            self.hand = hand;
            hand.into_iter().for_each(metrics::show_hand);
        }
    }

    /// The list of packets changes with every frame: it is kept current only for whoever looks at it.
    pub(super) fn looks_at_packets(&self) -> bool {
        self.tab == Tab::Packets || !self.session.is_playing()
    }
}

fn keep<T: PartialEq>(old: &mut Rc<T>, new: T) {
    if **old != new {
        *old = Rc::new(new);
    }
}
