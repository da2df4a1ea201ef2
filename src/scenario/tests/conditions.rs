//! Conditions against a run that answers from a table.

use bytes::Bytes;

use crate::kafka::node::TxnState;
use crate::scenario::condition::{BrokerState, Condition, Observe, OffsetSpec};
use crate::scenario::{Script, Statement};
use crate::sim::action::{BrokerRef, NodeRef};
use crate::sim::queries::StreamCondition;
use crate::wire::{BrokerId, ControllerId, ErrorCode, TopicPartition};

/// One topic `orders` with one partition: led by 2, in sync 3 and 2, replicas 1, 2, 3.
struct Fake;

fn known(partition: &TopicPartition) -> Option<()> {
    (partition.to_string() == "orders-0").then_some(())
}

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn records() -> Vec<Option<Bytes>> {
    vec![Some(Bytes::from("created")), None, Some(Bytes::from("paid, in full"))]
}

impl Observe for Fake {
    fn role(&self, broker: &BrokerRef) -> Option<BrokerId> {
        match broker {
            BrokerRef::Id(id) => Some(*id),
            BrokerRef::Leader(p) => known(p).map(|()| BrokerId(2)),
            BrokerRef::Follower(p) => known(p).map(|()| BrokerId(1)),
            BrokerRef::Coordinator(_) => None,
        }
    }
    fn leader(&self, p: &TopicPartition) -> Option<Option<BrokerId>> {
        known(p).map(|()| Some(BrokerId(2)))
    }
    fn leader_epoch(&self, p: &TopicPartition) -> Option<i64> {
        known(p).map(|()| 1)
    }
    fn isr(&self, p: &TopicPartition) -> Option<Vec<BrokerId>> {
        known(p).map(|()| ids(&[3, 2]))
    }
    fn elr(&self, p: &TopicPartition) -> Option<Vec<BrokerId>> {
        known(p).map(|()| ids(&[]))
    }
    fn replicas(&self, p: &TopicPartition) -> Option<Vec<BrokerId>> {
        known(p).map(|()| ids(&[1, 2, 3]))
    }
    fn partition_epoch(&self, p: &TopicPartition) -> Option<i64> {
        known(p).map(|()| 3)
    }
    fn high_watermark(&self, p: &TopicPartition, at: Option<BrokerId>) -> Option<i64> {
        known(p).and(match at {
            None => Some(5),
            Some(BrokerId(1)) => None,
            Some(_) => Some(4),
        })
    }
    fn log_bytes(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<i64> {
        known(p).map(|()| 350)
    }
    fn flushed(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<i64> {
        known(p).map(|()| 3)
    }
    fn cleaned(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<Option<i64>> {
        known(p).map(|()| None)
    }
    fn producers(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<i64> {
        known(p).map(|()| 1)
    }
    fn segments(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<Vec<i64>> {
        known(p).map(|()| vec![0, 3])
    }
    fn offset_of(&self, p: &TopicPartition, spec: OffsetSpec) -> Option<Option<i64>> {
        known(p).map(|()| if spec == OffsetSpec::Timestamp(2_000) { None } else { Some(spec.timestamp() + 5) })
    }
    fn log_end(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<i64> {
        known(p).map(|()| 5)
    }
    fn log_start(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<i64> {
        known(p).map(|()| 0)
    }
    fn last_stable(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<i64> {
        known(p).map(|()| 5)
    }
    fn records(&self, p: &TopicPartition, _: Option<BrokerId>) -> Option<Vec<Option<Bytes>>> {
        known(p).map(|()| records())
    }
    fn partition_of(&self, _: &str, _: &str) -> Option<i64> {
        Some(0)
    }
    fn broker_state(&self, broker: BrokerId) -> Option<BrokerState> {
        Some(if broker.0 == 1 { BrokerState::Dead } else { BrokerState::Alive })
    }
    fn controller(&self) -> Option<ControllerId> {
        Some(ControllerId(2))
    }
    fn voters(&self) -> Option<Vec<ControllerId>> {
        Some(vec![ControllerId(1), ControllerId(2)])
    }
    fn metadata_log(&self, _: &NodeRef) -> Option<(i64, i64)> {
        Some((10, 20))
    }
    fn snapshot(&self, _: &NodeRef) -> Option<Option<i64>> {
        Some(None)
    }
    fn feature(&self, name: &str) -> Option<i64> {
        (name == "metadata.version").then_some(29)
    }
    fn controller_epoch(&self) -> Option<i64> {
        Some(2)
    }
    fn quorum_leader(&self) -> Option<ControllerId> {
        None
    }
    fn group_state(&self, _: &str) -> Option<String> {
        Some("Stable".to_string())
    }
    fn generation(&self, _: &str) -> Option<i64> {
        Some(1)
    }
    fn members(&self, _: &str) -> Option<i64> {
        Some(1)
    }
    fn share_partition(&self, _: &str, _: &TopicPartition) -> Option<(i64, i64)> {
        None
    }

    fn committed(&self, _: &str, _: &TopicPartition) -> Option<Option<i64>> {
        Some(None)
    }
    fn lag(&self, _: &str, p: Option<&TopicPartition>) -> Option<Option<i64>> {
        Some(p.map(|_| 7))
    }
    fn assigned(&self, _: &str) -> Option<Vec<TopicPartition>> {
        Some(vec![TopicPartition::named("orders", 1), TopicPartition::named("orders", 0)])
    }
    fn position(&self, _: &str, _: &TopicPartition) -> Option<Option<i64>> {
        Some(Some(4))
    }
    fn delivered(&self, _: &str, _: &TopicPartition) -> Option<i64> {
        Some(3)
    }
    fn values(&self, _: &str, _: &TopicPartition) -> Option<Vec<Option<Bytes>>> {
        Some(Vec::new())
    }
    fn checkpoint(&self, _: &str, _: &TopicPartition) -> Option<Option<i64>> {
        Some(Some(5))
    }
    fn batches(&self, _: &str) -> Option<(Option<i64>, Option<i64>)> {
        Some((Some(2), None))
    }
    fn stream_state(&self, _: &str) -> Option<StreamCondition> {
        Some(StreamCondition::Failed)
    }
    fn acked(&self, _: &str) -> Option<i64> {
        Some(5)
    }
    fn failed(&self, _: &str, error: Option<ErrorCode>) -> Option<i64> {
        Some(if error == Some(ErrorCode::NotEnoughReplicas) { 2 } else { 3 })
    }
    fn transaction(&self, _: &str) -> Option<TxnState> {
        Some(TxnState::InTransaction)
    }
    fn pending(&self, _: &str) -> Option<i64> {
        Some(0)
    }
    fn lost(&self) -> i64 {
        0
    }
    fn duplicated(&self, _: &str) -> Option<i64> {
        Some(0)
    }
    fn reordered(&self) -> i64 {
        0
    }

    fn phantom(&self) -> i64 {
        0
    }
    fn skipped(&self, _: &str) -> Option<i64> {
        Some(0)
    }
    fn diverged(&self) -> i64 {
        2
    }

    fn under_replicated(&self) -> i64 {
        1
    }
    fn under_min_isr(&self) -> i64 {
        0
    }
    fn offline(&self) -> i64 {
        0
    }
}

fn condition(text: &str) -> Condition {
    let script = Script::parse(&format!("expect {text}")).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]));
    match script.lines.into_iter().next().and_then(|line| line.statement) {
        Some(Statement::Expect(condition)) => condition,
        other => panic!("expected a condition, found {other:?}"),
    }
}

fn holds(text: &str) -> bool {
    condition(text).holds(&Fake)
}

fn actual(text: &str) -> String {
    condition(text).actual(&Fake)
}

#[test]
fn sets_are_compared_as_sets_except_where_order_means_something() {
    assert!(holds("isr orders-0 = 2,3") && holds("isr orders-0 = 3,2"));
    assert!(holds("isr orders-0 != 2"));
    assert!(holds("isr-size orders-0 = 2"));
    assert!(holds("elr orders-0 = none"));
    assert!(holds("replicas orders-0 = 1,2,3") && holds("replicas orders-0 != 1,3,2"));
    assert!(holds("assigned c1 = orders-0,orders-1"));
    assert!(holds("records orders-0 = created,null,\"paid, in full\""));
    assert!(holds("records orders-0 != null,created,\"paid, in full\""));
    assert!(holds("values c1 orders-0 = none"));
    assert!(holds("isr orders-0 = leader:orders-0,3"));
}

#[test]
fn roles_are_resolved_when_the_condition_is() {
    assert!(holds("leader orders-0 = leader:orders-0"));
    assert!(holds("leader orders-0 != follower:orders-0"));
    assert!(holds("broker follower:orders-0 = dead"));
    assert!(holds("hw orders-0@leader:orders-0 = 4") && holds("hw orders-0 = 5"));
    assert!(holds("controller = active") && holds("quorum-leader = none") && holds("quorum-leader != active"));
}

#[test]
fn nothing_holds_about_what_there_is_not() {
    for text in ["leader other-0 = none", "leader other-0 != 1", "hw orders-0@1 >= 0", "broker coordinator:g = alive"] {
        assert!(!holds(text), "{text}");
        assert_eq!(actual(text), "unknown");
    }
}

#[test]
fn none_is_equal_to_itself_and_no_number() {
    assert!(holds("committed g orders-0 = none") && holds("committed g orders-0 != 0"));
    assert!(!holds("committed g orders-0 >= 0") && !holds("committed g orders-0 < 0"));
    assert!(holds("lag g orders-0 = 7") && holds("lag g = none"));
    assert!(holds("checkpoint s orders-0 = 5 and batch s = 2 and planned s = none and stream s = failed"));
    assert!(holds("failed app NOT_ENOUGH_REPLICAS = 2") && holds("failed app = 3"));
}

#[test]
fn and_binds_before_or_and_not_before_both() {
    assert!(holds("offline = 0 or offline = 1 and offline = 2"));
    assert!(!holds("(offline = 0 or offline = 1) and offline = 2"));
    assert!(holds("not offline = 1 and lost = 0"));
    assert!(!holds("not (offline = 1 or lost = 0)"));
    assert!(holds("not not offline = 0"));
}

#[test]
fn a_failure_says_what_held_instead() {
    assert_eq!(actual("isr orders-0 = 1"), "3,2");
    assert_eq!(actual("elr orders-0 = 1"), "none");
    assert_eq!(actual("committed g orders-0 = 1"), "none");
    assert_eq!(actual("records orders-0 = x"), "created,null,\"paid, in full\"");
    assert_eq!(actual("quorum-leader = c1"), "none");
    assert_eq!(actual("offline = 1 or isr orders-0 = 1 and offline = 2"), "offline is 0; isr orders-0 is 3,2");
    assert_eq!(condition("diverged = 0").check(&Fake).actual, "2");
    assert_eq!(condition("under-replicated = 0").check(&Fake).actual, "1");
}
