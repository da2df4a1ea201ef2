//! What happens in each frame.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use yew::Context;

use super::glow::{BRISK, TOO_QUICK, glows, new_records};
use super::turns::Turns;
use super::{App, Msg, REFRESH};
use crate::time::{Duration, Instant};
use crate::ui::browser::window;
use crate::ui::flights::{Broken, show_tip};
use crate::ui::zoom::Level;
use crate::view::stage::Stage as StageView;

/// What the browser calls in every frame that is asked for.
pub(super) fn every_frame(ctx: &Context<App>) -> Closure<dyn FnMut(f64)> {
    let link = ctx.link().clone();
    Closure::new(move |at| link.send_message(Msg::Frame(at)))
}

impl App {
    pub(super) fn ask_for_a_frame(&self) {
        // A window that is being closed has no frames any more, and needs none.
        let _ = window().request_animation_frame(self.next_frame.as_ref().unchecked_ref());
    }

    /// A frame: time passes, what moves is drawn. True when words and numbers want drawing too.
    pub(super) fn pass(&mut self, at: f64) -> bool {
        let real = at - self.last_frame.unwrap_or(at);
        self.last_frame = Some(at);
        let before = self.session.now();
        let playing = self.session.is_playing();
        let worked = self.session.tick(Duration::from_micros((real * 1000.0) as i64));
        if let Some(reason) = self.session.why_stopped() {
            self.problems = vec![reason.to_string()];
        }
        let busy = self.balance.is_busy(worked);
        let now = self.session.now();
        self.draw_what_moves(now, at);
        let fitting = self.layer.records_that_fit();
        let resized = std::mem::replace(&mut self.fitting, fitting) != fitting;
        if resized {
            // Of each log another number of records is wanted.
            self.refresh();
        }
        // Where a lesson waits, everything is as it is at that very moment.
        let stopped = playing && !self.session.is_playing();
        if now != before || stopped {
            self.clock.go_on(now, self.session.end());
            self.show_now_in_metrics();
        } else if self.turns.is_none() {
            return resized;
        }
        if busy && !stopped {
            return resized;
        }
        if !stopped && self.turns.is_some() {
            self.draw_next_rows();
            self.in_turn = !resized;
            return true;
        }
        if !stopped && at - self.last_refresh < if self.brisk { 2.0 * REFRESH } else { REFRESH } {
            return resized;
        }
        self.look_again(at, stopped);
        true
    }

    /// What is set past the virtual DOM.
    fn draw_what_moves(&mut self, now: Instant, at: f64) {
        self.look_at_flights();
        let drawn = self.drawing.as_ref().zip(self.pointer).map(|((from, _), to)| (from.as_str(), to));
        self.layer.draw(&self.flown, now, at, &self.muted, &Broken { links: &self.shown.cuts, drawn });
        self.point();
        if std::mem::take(&mut self.unpainted) {
            self.paint_timeline();
        }
    }

    fn look_again(&mut self, at: f64, stopped: bool) {
        self.last_refresh = at;
        let before = self.shown.stage.clone();
        self.rewound = false;
        self.refresh();
        let many = new_records(&before, &self.shown.stage) > BRISK;
        self.brisk = !stopped && self.flow.is_stream(many);
        // Bars and tiles are few strokes each: only records are worth taking turns.
        if many && !stopped && self.looking.level(&self.shown.stage) == Level::Records {
            self.take_turns(&before);
        }
        if !self.brisk && self.shown.rate >= TOO_QUICK {
            glows(&before, &self.shown.stage, at).into_iter().for_each(|glow| self.layer.glow(glow));
        }
    }

    fn point(&mut self) {
        let hit = self.pointer.and_then(|(x, y)| Some((self.layer.hit(x, y)?, x, y)));
        let found = hit.and_then(|(id, x, y)| {
            let flown = self.flown.iter().find(|flown| flown.flight.id == id)?;
            Some((flown.flight.label.as_str(), x, y))
        });
        // There is one place for words, which the tiles use, too.
        if found.is_some() || self.pointed {
            show_tip(found);
        }
        self.pointed = found.is_some();
    }

    fn paint_timeline(&mut self) {
        let focus = self.focus();
        let now = self.session.now();
        let row = self.shown.stage.rows.iter().find(|row| Some(&row.name) == focus.as_ref());
        let replicas = row.map_or(0, |row| row.replicas.len() as u32);
        self.brush.paint(self.session.timeline(focus.as_deref()), now, replicas);
    }

    /// Of what [`App::refresh`] saw of a stream, the rows are drawn in the frames to come.
    fn take_turns(&mut self, before: &StageView) {
        if let Some((turns, shown)) = Turns::begin(before, &self.shown.stage) {
            self.shown.stage = shown;
            self.turns = Some(turns);
        }
    }

    fn draw_next_rows(&mut self) {
        let Some(turns) = &mut self.turns else { return };
        let (stage, more) = turns.next(&self.shown.stage);
        self.shown.stage = stage;
        if !more {
            self.turns = None;
        }
    }
}
