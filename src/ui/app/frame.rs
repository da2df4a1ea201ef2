//! What happens in each frame.

use gloo::render::request_animation_frame;
use yew::Context;

use super::glow::{BRISK, TOO_QUICK, glows, new_records};
use super::turns::Turns;
use super::{App, Msg, REFRESH};
use crate::time::Duration;
use crate::ui::flights::{Broken, show_tip};
use crate::ui::timeline;
use crate::ui::zoom::Level;
use crate::view::stage::Stage as StageView;

impl App {
    pub(super) fn next_frame(&mut self, ctx: &Context<App>) {
        let link = ctx.link().clone();
        self.frame = Some(request_animation_frame(move |at| link.send_message(Msg::Frame(at))));
    }

    /// A frame: time passes, what moves is drawn. True when words and numbers want drawing too.
    pub(super) fn pass(&mut self, at: f64) -> bool {
        let real = at - self.last_frame.unwrap_or(at);
        self.last_frame = Some(at);
        let before = self.session.now();
        let playing = self.session.is_playing();
        self.session.tick(Duration::from_micros((real * 1000.0) as i64));
        let now = self.session.now();
        self.look_at_flights();
        let drawn = self.drawing.as_ref().zip(self.pointer).map(|((from, _), to)| (from.as_str(), to));
        self.layer.draw(&self.flown, now, at, &self.muted, &Broken { links: &self.shown.cuts, drawn });
        self.point();
        if std::mem::take(&mut self.unpainted) {
            self.paint_timeline();
        }
        let fitting = self.layer.records_that_fit();
        let resized = std::mem::replace(&mut self.fitting, fitting) != fitting;
        // Where a lesson waits, everything is as it is at that very moment.
        let stopped = playing && !self.session.is_playing();
        if now != before || stopped {
            timeline::show_time(self.session.beginning(), now, self.session.end());
            self.show_now_in_metrics();
        } else if self.turns.is_none() {
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
        self.last_refresh = at;
        let before = self.shown.stage.clone();
        self.rewound = false;
        self.refresh();
        self.brisk = new_records(&before, &self.shown.stage) > BRISK;
        // Bars and tiles are few strokes each: only records are worth taking turns.
        if self.brisk && !stopped && self.looking.level(&self.shown.stage) == Level::Records {
            self.take_turns(&before);
        }
        if !self.brisk && self.shown.rate >= TOO_QUICK {
            glows(&before, &self.shown.stage, at).into_iter().for_each(|glow| self.layer.glow(glow));
        }
        true
    }

    fn point(&self) {
        let hit = self.pointer.and_then(|(x, y)| Some((self.layer.hit(x, y)?, x, y)));
        let found = hit.and_then(|(id, x, y)| {
            let flown = self.flown.iter().find(|flown| flown.flight.id == id)?;
            Some((flown.flight.label.as_str(), x, y))
        });
        show_tip(found);
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
