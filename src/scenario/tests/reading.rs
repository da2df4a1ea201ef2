//! What is read is what was written.

use crate::kafka::node::SeekTo;
use crate::rng::Rng;
use crate::scenario::tests::generator::{WHOLE_LANGUAGE, mutate, script};
use crate::scenario::{Script, Statement};
use crate::sim::action::{Action, BrokerRef, NodeRef};
use crate::time::{Duration, Instant};
use crate::wire::{BrokerId, Offset};

fn only(text: &str) -> Statement {
    let script = Script::parse(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
    script.lines[0].statement.clone().expect("the line says something")
}

fn action(text: &str) -> Action {
    match only(text) {
        Statement::Act(action) => action,
        other => panic!("expected an action, found {other:?}"),
    }
}

fn canonical(text: &str) -> String {
    Script::parse(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0])).print()
}

#[test]
fn every_example_of_the_reference_is_read_and_printed_and_read_again() {
    let script = Script::parse(WHOLE_LANGUAGE).unwrap_or_else(|errors| panic!("{}", errors[0]));
    assert_eq!(Script::parse(&script.print()), Ok(script.clone()));
    assert_eq!(Script::parse(&script.print()).unwrap().print(), script.print());
}

#[test]
fn generated_scripts_are_read_as_they_were_printed() {
    let mut rng = Rng::new(7);
    for round in 0..400 {
        let text = script(&mut rng);
        let script = Script::parse(&text).unwrap_or_else(|errors| panic!("round {round}: {}\n{text}", errors[0]));
        let printed = script.print();
        let again = Script::parse(&printed).unwrap_or_else(|errors| panic!("{}\n{printed}", errors[0]));
        assert_eq!(again, script, "round {round}\n{text}\n{printed}");
        assert_eq!(again.print(), printed, "the canonical text is its own");
    }
}

#[test]
fn no_text_makes_the_reader_panic() {
    let mut rng = Rng::new(11);
    let mut read = 0;
    for _ in 0..1_000 {
        let text = mutate(&mut rng, WHOLE_LANGUAGE);
        match Script::read(&text) {
            Ok(script) => {
                read += 1;
                assert_eq!(Script::parse(&script.print()), Ok(script));
            }
            Err(errors) => {
                assert!(!errors.is_empty());
                for error in errors {
                    assert!(error.span.line >= 1 && error.span.column >= 1 && !error.message.is_empty());
                }
            }
        }
    }
    assert!(read < 1_000, "some mutations are errors");
}

#[test]
fn lines_that_survive_a_mutation_are_faithful_too() {
    let mut rng = Rng::new(13);
    for _ in 0..400 {
        let text = mutate(&mut rng, WHOLE_LANGUAGE);
        let (script, _) = crate::scenario::parse::parse(&text);
        for line in script.lines.iter().filter(|line| line.statement.is_some()) {
            let mut alone = line.text();
            if let Some(comment) = &line.comment {
                alone = format!("{alone}  #{comment}");
            }
            let names = crate::scenario::Names::new();
            let (again, errors) = crate::scenario::parse::parse_line(&alone, 1, &names);
            // A client that is called like a controller is read in the context of its script.
            if !alone.starts_with("cut") && !alone.starts_with("link") && !alone.starts_with("drop") {
                assert_eq!((errors, again.statement), (Vec::new(), line.statement.clone()), "{alone}");
            }
        }
    }
}

#[test]
fn comments_and_blank_lines_are_kept() {
    let text = "# a lesson\n\n  cluster   seed=7 brokers=3   # three\n>  Now.  # not a comment\n#\n";
    let expected = "# a lesson\n\ncluster brokers=3 controllers=3 seed=7  # three\n>  Now.  # not a comment\n#\n";
    assert_eq!(canonical(text), expected);
    assert_eq!(canonical(expected), expected);
    assert_eq!(canonical("\u{feff}wait 1s\r\nwait 2s"), "wait 1s\nwait 2s\n");
    assert_eq!(canonical(""), "");
}

#[test]
fn a_record_tells_nothing_from_empty() {
    let record = |text: &str| match action(text) {
        Action::Send { record, .. } => {
            let text = |bytes: Option<bytes::Bytes>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
            (text(record.key), text(record.value))
        }
        other => panic!("expected a send, found {other:?}"),
    };
    let some = |text: &str| Some(text.to_string());
    assert_eq!(record("send app orders alice=created"), (some("alice"), some("created")));
    assert_eq!(record("send app orders =created"), (None, some("created")));
    assert_eq!(record("send app orders alice="), (some("alice"), None));
    assert_eq!(record("send app orders alice=\"\""), (some("alice"), some("")));
    assert_eq!(record("send app orders \"a=b\"=\"paid in full\""), (some("a=b"), some("paid in full")));
    assert_eq!(record("send app orders a=b=c"), (some("a"), some("b=c")));
    assert_eq!(
        canonical("send app orders \"\"=\"x\" header.trace=\"a b\"\n"),
        "send app orders \"\"=x header.trace=\"a b\"\n"
    );
}

#[test]
fn a_name_like_a_controllers_is_the_controller_where_there_is_one() {
    let nodes = |text: &str| {
        let script = Script::read(text).unwrap_or_else(|errors| panic!("{}", errors[0]));
        match script.lines.last().and_then(|line| line.statement.clone()) {
            Some(Statement::Act(Action::Cut { sides })) => sides,
            other => panic!("expected a cut, found {other:?}"),
        }
    };
    let head = "topic orders\nconsumer c1 group=g topics=orders\nconsumer c7 group=g topics=orders\n";
    let sides = nodes(&format!("{head}cut 1,c1 | 2,client:c1,c7"));
    assert!(matches!(sides[0][1], NodeRef::Controller(_)));
    assert_eq!(sides[1][1..], [NodeRef::Client("c1".to_string()), NodeRef::Client("c7".to_string())]);
    let script = Script::read(&format!("{head}cut 1,c1 | 2,client:c1,c7\n")).unwrap();
    assert!(script.print().ends_with("cut 1,c1 | 2,client:c1,client:c7\n"));
}

#[test]
fn time_seeks_and_roles_are_read() {
    assert_eq!(only("at 12.345s"), Statement::At(Instant::from_millis(12_345)));
    assert_eq!(canonical("at 12345ms\n"), "at 12.345s\n");
    assert_eq!(only("wait 1.5min"), Statement::Wait(Duration::from_secs(90)));
    let seek = |text: &str| match action(text) {
        Action::Seek { to, .. } => to,
        other => panic!("expected a seek, found {other:?}"),
    };
    assert_eq!(seek("seek c1 orders-0 5"), SeekTo::Offset(Offset(5)));
    assert_eq!(seek("seek c1 orders-0 2s"), SeekTo::Timestamp(2_000));
    let kill = action("kill broker coordinator:billing");
    assert_eq!(kill, Action::Kill(NodeRef::Broker(BrokerRef::Coordinator("billing".to_string()))));
    assert_eq!(
        action("reassign orders-0 replicas=2,3"),
        Action::Reassign {
            partition: crate::wire::TopicPartition::named("orders", 0),
            replicas: Some(vec![BrokerId(2), BrokerId(3)])
        }
    );
}

#[test]
fn a_typed_line_is_read_in_the_context_of_the_script() {
    let mut script = Script::read("topic orders\nproducer app\n").unwrap();
    let line = script.push_text("send app orders alice=created").unwrap();
    assert_eq!(line.number, 3);
    let errors = script.push_text("send ap orders alice=created").unwrap_err();
    assert_eq!(errors[0].to_string(), "4:6: unknown producer `ap`; did you mean `app`?");
    assert!(script.push_text("wait 1s\nwait 2s").is_err());
    assert_eq!(script.lines.len(), 3);
    let killed = script.push(Statement::Act(Action::KillClient { name: "app".to_string() }));
    assert_eq!(killed.source, "kill producer app");
    assert_eq!(Script::read(&script.print()), Ok(script));
}
