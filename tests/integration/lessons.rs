//! The lessons are told truly: what is listed is there, every question has its true answer, every
//! goal is open when it is set and reached by what follows, and each part waits before the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use highwater::history::Run;
use highwater::lesson::{self, LESSONS};
use highwater::scenario::script::{Script, Statement};
use highwater::time::Instant;
use highwater::view::story::Story;

use crate::scripts;

/// Every lesson with its text.
fn all() -> Vec<(&'static str, String)> {
    let texts = scripts::all();
    let text = |id: &str| texts.iter().find(|(name, _)| name == id).map(|(_, text)| text.clone());
    LESSONS.iter().map(|lesson| (lesson.id, text(lesson.id).unwrap_or_else(|| panic!("no {}.hw", lesson.id)))).collect()
}

fn at(script: &Arc<Script>, at: Instant) -> Run {
    let mut run = Run::start(script.clone(), None).expect("the lessons' clusters settle");
    while run.advance(at).is_some() {}
    run
}

#[test]
fn every_lesson_is_listed_and_begins_with_its_title() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lesson");
    let files = std::fs::read_dir(folder).expect("the folder of lessons is there").flatten();
    let files = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let files: BTreeSet<String> = files.filter_map(|name| name.strip_suffix(".hw").map(str::to_owned)).collect();
    let listed = LESSONS.iter().map(|lesson| lesson.id.to_string()).chain(["first_minute".to_string()]);
    assert_eq!(files, listed.collect());
    for (id, text) in all() {
        let (_, lesson) = lesson::find(id).expect("it is listed");
        let title = text.lines().next().unwrap_or_default().replace('\'', "’");
        assert!(title.starts_with(&format!("# {}: ", lesson.title)), "{id}: {title}");
        assert!((2..=6).contains(&lesson.minutes) && lesson.says.ends_with('.'), "{id}");
    }
}

#[test]
fn every_part_says_something_and_leaves_time_before_the_next() {
    for (id, text) in all() {
        let script = scripts::read(id, &text);
        let story = Story::of(&script).unwrap_or_else(|| panic!("{id} has parts"));
        assert!((3..=7).contains(&story.parts.len()), "{id} has {} parts", story.parts.len());
        let mut run = Run::start(script.clone(), None).expect("the lessons' clusters settle");
        for (index, part) in story.parts.iter().enumerate() {
            while run.advance(part.ends).is_some() {}
            assert_eq!(story.part_of(&run), Some(index), "{id}: {} waits before the next part begins", part.title);
            let told = story.captions(index, &run);
            assert!(!told.is_empty(), "{id}: {} says nothing", part.title);
            let written = all_prose(&script, &part.title);
            assert_eq!(told.len(), written, "{id}: {} ends before everything is told", part.title);
            assert!(told.iter().all(|text| text.chars().count() <= 420), "{id}: {} says too much at once", part.title);
        }
    }
}

/// How many paragraphs a part has.
fn all_prose(script: &Script, title: &str) -> usize {
    let mut inside = false;
    let mut prose = false;
    let mut count = 0;
    for line in &script.lines {
        if let Some(Statement::Step(step)) = &line.statement {
            inside = step == title;
        }
        let is_prose = matches!(line.statement, Some(Statement::Prose(_)));
        count += usize::from(inside && is_prose && !prose);
        prose = is_prose;
    }
    count
}

#[test]
fn every_question_waits_and_offers_its_answer() {
    let mut questions = 0;
    for (id, text) in all() {
        let script = scripts::read(id, &text);
        for part in Story::of(&script).expect("it has parts").parts {
            let Some(question) = part.question else { continue };
            questions += 1;
            assert!(question.choices.contains(&question.answer), "{id}: {} is no choice", question.answer);
            assert!(question.at < part.ends, "{id}: the answer comes after the question");
            let run = at(&script, question.at);
            let line = script.lines.get(run.begun() as usize - 1);
            let waits = matches!(line.and_then(|line| line.statement.as_ref()), Some(Statement::Wait(_)));
            assert!(waits, "{id}: after a question comes a `wait`");
        }
    }
    assert!(questions >= 8, "the reader is asked {questions} times");
}

#[test]
fn every_goal_is_open_when_it_is_set_and_reached_by_what_follows() {
    let mut goals = 0;
    for (id, text) in all() {
        let script = scripts::read(id, &text);
        for part in Story::of(&script).expect("it has parts").parts {
            let Some(goal) = part.goal else { continue };
            goals += 1;
            let before = at(&script, goal.at);
            assert!(!goal.is_reached(&before.world), "{id}: nothing is left to do");
            let line = script.lines.get(before.begun() as usize - 1);
            let waits = matches!(line.and_then(|line| line.statement.as_ref()), Some(Statement::Wait(_)));
            assert!(waits, "{id}: after a goal comes a `wait`");
            let mut run = at(&script, goal.at);
            let mut reached = false;
            while !reached && run.now() < part.ends && run.advance(part.ends).is_some() {
                reached = goal.is_reached(&run.world);
            }
            assert!(reached, "{id}: what follows does not reach the goal");
        }
    }
    assert!(goals >= 5, "the reader acts {goals} times");
}

/// What Kafka's defaults are called and how long they are, as the lessons say.
#[test]
fn what_lessons_call_a_default_is_one() {
    use highwater::kafka::config::{BrokerConfig, ConsumerConfig, ProducerConfig};
    let broker = BrokerConfig::default();
    assert_eq!(broker.broker_session_timeout.millis(), 9_000);
    assert_eq!(broker.replica_lag_time_max.millis(), 30_000);
    assert_eq!(broker.topic_defaults.min_insync_replicas, 1);
    assert_eq!(broker.quorum_fetch_timeout.millis(), 2_000);
    assert_eq!(broker.leader_imbalance_check_interval.millis(), 300_000);
    let producer = ProducerConfig::default();
    assert_eq!(producer.delivery_timeout.millis(), 120_000);
    assert_eq!(producer.max_in_flight, 5);
    assert!(producer.idempotence && producer.acks == -1);
    let consumer = ConsumerConfig::default();
    assert_eq!((consumer.session_timeout.millis(), consumer.auto_commit_interval.millis()), (45_000, 5_000));
}
