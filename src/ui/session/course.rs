//! A lesson under way: where its reader is, what was answered, and whether the story is still told
//! or the reader has taken over.

use std::sync::Arc;

use super::{Session, sentences};
use crate::history::History;
use crate::lesson::Lesson;
use crate::scenario::script::Script;
use crate::time::Instant;
use crate::view::story::Story;

pub struct Course {
    /// `None`: a script with parts that is none of our lessons.
    lesson: Option<&'static Lesson>,
    story: Story,
    script: Arc<Script>,
    /// By part.
    progress: Vec<Progress>,
    /// The reader has done something that the script does not: when, and in which part.
    left: Option<(Instant, usize)>,
    /// Parts that were solved and have not been told yet.
    news: Vec<usize>,
}

#[derive(Clone, Default)]
struct Progress {
    chosen: Option<String>,
    solved: bool,
    /// The goal was reached by the script, not by the reader.
    shown: bool,
    seen: bool,
}

/// What there is to see of a lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct LessonView {
    pub lesson: Option<&'static Lesson>,
    pub parts: Vec<PartView>,
    /// The present one.
    pub part: usize,
    pub captions: Vec<String>,
    pub question: Option<QuestionView>,
    pub goal: Option<GoalView>,
    /// The reader has taken over.
    pub left: bool,
    /// Time stands still until the reader goes on.
    pub waits: bool,
    /// The last part has been told to its end.
    pub over: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PartView {
    pub title: String,
    pub solved: bool,
    pub seen: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct QuestionView {
    pub text: String,
    pub choices: Vec<String>,
    pub chosen: Option<String>,
    /// Once it has turned out.
    pub answer: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoalView {
    pub solved: bool,
    pub shown: bool,
}

impl Course {
    pub(super) fn of(script: &Arc<Script>, lesson: Option<&'static Lesson>) -> Option<Course> {
        let story = Story::of(script)?;
        let progress = vec![Progress::default(); story.parts.len()];
        Some(Course { lesson, story, script: script.clone(), progress, left: None, news: Vec::new() })
    }

    fn part(&self, history: &History) -> usize {
        let (parts, viewed) = (&self.story, history.viewed());
        self.left.map_or_else(|| parts.part_of(viewed).unwrap_or(0), |(_, part)| part)
    }

    /// Where time waits for the reader next.
    pub(super) fn hold(&self, now: Instant) -> Option<Instant> {
        self.lesson.and(self.story.next_hold(now)).filter(|_| self.left.is_none())
    }

    pub(super) fn is_left(&self) -> bool {
        self.left.is_some()
    }

    /// The script goes on otherwise than it was written.
    pub(super) fn leave(&mut self, history: &History) {
        if self.left.is_none() && !history.viewed().is_finished() {
            self.left = Some((history.now(), self.part(history)));
        }
    }
}

impl Session {
    /// Opens a lesson at one of its parts, counted from 0.
    pub fn open_lesson(lesson: &'static Lesson, text: &str, part: usize) -> Result<Session, Vec<String>> {
        let script = Arc::new(Script::read(text).map_err(|errors| sentences(&errors))?);
        let course = Course::of(&script, Some(lesson)).ok_or_else(|| vec!["This lesson has no parts.".to_string()])?;
        let history = History::open(script).map_err(|refused| vec![refused.message])?;
        let mut session = Session::over(history);
        session.course = Some(course);
        session.go_to_part(part);
        Ok(session)
    }

    /// On to the beginning of a part, or back to it. What the reader made of the story is kept.
    pub fn go_to_part(&mut self, part: usize) {
        let Some(mut course) = self.course.take() else { return };
        if let Some((left_at, _)) = course.left.take() {
            self.keep(left_at);
            if let Ok(history) = History::open(course.script.clone()) {
                self.replace(history);
            }
        }
        let begins = course.story.parts[part.min(course.story.parts.len() - 1)].begins;
        self.history.seek(begins);
        // What is asked at the very beginning waits at once.
        self.playback.playing = !course.story.holds_at(begins);
        if course.lesson.is_some() {
            self.history.watch_script();
        }
        self.course = Some(course);
        self.told = self.history.position();
        self.checked = self.history.head().checks().len();
    }

    /// To the next part, or to the one before.
    pub fn turn_page(&mut self, onward: bool) {
        let Some(course) = &self.course else { return };
        let part = course.part(&self.history);
        let next = if onward { part + 1 } else { part.saturating_sub(1) };
        if next < course.story.parts.len() {
            self.go_to_part(next);
        }
    }

    /// The address of the present part, as long as the story is told as it was written.
    pub fn lesson_link(&self) -> Option<String> {
        let course = self.course.as_ref().filter(|course| course.left.is_none())?;
        let (lesson, part) = (course.lesson?, course.part(&self.history));
        let step = if part > 0 { format!("&step={}", part + 1) } else { String::new() };
        Some(format!("#lesson={}{step}", lesson.id))
    }

    pub fn has_parts(&self) -> bool {
        self.course.is_some()
    }

    /// The reader predicts; then the story goes on.
    pub fn answer(&mut self, choice: String) {
        let Some(course) = &mut self.course else { return };
        let part = course.part(&self.history);
        course.progress[part].chosen.get_or_insert(choice);
        self.playback.playing = true;
    }

    /// Notices what has been answered and reached.
    pub fn look_at_lesson(&mut self) {
        let Some(course) = &mut self.course else { return };
        let (now, index) = (self.history.now(), course.part(&self.history));
        let part = &course.story.parts[index];
        let progress = &mut course.progress[index];
        let answered = part
            .question
            .as_ref()
            .is_some_and(|question| now >= part.ends && progress.chosen.as_ref() == Some(&question.answer));
        let reached = part.goal.as_ref().is_some_and(|goal| now >= goal.at && goal.is_reached(self.history.world()));
        progress.shown |= reached && course.left.is_none() && !progress.solved;
        progress.seen |= now >= part.ends || reached;
        if (answered || reached && course.left.is_some()) && !progress.solved {
            progress.solved = true;
            course.news.push(index);
        }
    }

    /// The parts that were solved since this was last asked: number from 1, and name.
    pub fn solved(&mut self) -> Vec<(usize, String)> {
        let Some(course) = &mut self.course else { return Vec::new() };
        let titles = &course.story.parts;
        course.news.drain(..).map(|part| (part + 1, titles[part].title.clone())).collect()
    }

    pub fn lesson(&self) -> Option<LessonView> {
        let course = self.course.as_ref()?;
        let (now, index) = (self.history.now(), course.part(&self.history));
        let part = &course.story.parts[index];
        let progress = &course.progress[index];
        let told = part.question.as_ref().filter(|question| now >= question.at);
        let question = told.map(|question| QuestionView {
            text: question.text.clone(),
            choices: question.choices.clone(),
            chosen: progress.chosen.clone(),
            answer: (now >= part.ends || course.left.is_some()).then(|| question.answer.clone()),
        });
        let goal = part.goal.as_ref().filter(|goal| now >= goal.at);
        let parts = course.story.parts.iter().zip(&course.progress).map(|(part, progress)| PartView {
            title: part.title.clone(),
            solved: progress.solved,
            seen: progress.seen,
        });
        Some(LessonView {
            lesson: course.lesson,
            parts: parts.collect(),
            part: index,
            captions: course.story.captions(index, self.history.viewed()),
            question,
            goal: goal.map(|_| GoalView { solved: progress.solved, shown: progress.shown }),
            left: course.left.is_some(),
            waits: !self.playback.playing,
            over: progress.seen && index + 1 == course.story.parts.len(),
        })
    }
}
