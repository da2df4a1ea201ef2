//! Administrative requests of clients, passed on to the active controller and answered for it
//! (ForwardingManager, KIP-590). The request travels as itself, without Kafka's envelope around it.

use crate::kafka::broker::controller_channel::{ControllerChannel, Reply};
use crate::kafka::node::{Alarm, Turn};
use crate::time::{Duration, Instant};
use crate::wire::messages as m;
use crate::wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use crate::wire::messages::create_topics_response::CreatableTopicResult;
use crate::wire::messages::delete_topics_response::DeletableTopicResult;
use crate::wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::wire::{BrokerId, Correlation, ErrorCode, NodeId, Request, Response, code};

/// After this long a client hears that its request timed out (BrokerServer's channel).
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// The client's requests that the controller has not answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Forwarder {
    channel: ControllerChannel<Asker>,
}

/// Who asked, and what to answer if nobody else does.
#[derive(Clone, Debug, PartialEq)]
struct Asker {
    client: NodeId,
    correlation: Correlation,
    timed_out: Response,
}

impl Forwarder {
    pub fn new(me: BrokerId) -> Forwarder {
        Forwarder { channel: ControllerChannel::new(me, Some(RETRY_TIMEOUT)) }
    }

    /// Passes a request on; false when it is none that only the controller answers.
    pub fn forward(
        &mut self,
        turn: &mut Turn<'_>,
        controller: Option<NodeId>,
        client: NodeId,
        correlation: Correlation,
        request: &Request,
    ) -> bool {
        let Some(timed_out) = error_response(request, ErrorCode::RequestTimedOut) else { return false };
        self.channel.submit(turn, controller, request.clone(), Asker { client, correlation, timed_out });
        true
    }

    /// Called when an alarm rings and when the known controller changes.
    pub fn poll(&mut self, turn: &mut Turn<'_>, controller: Option<NodeId>) {
        for asker in self.channel.poll(turn, controller) {
            turn.respond(asker.client, asker.correlation, asker.timed_out);
        }
    }

    /// True if the response answered a forwarded request; then its client has it.
    pub fn handle_response(
        &mut self,
        turn: &mut Turn<'_>,
        from: NodeId,
        correlation: Correlation,
        response: &Response,
    ) -> bool {
        match self.channel.handle_response(turn, from, correlation, response) {
            Reply::NotMine => return false,
            Reply::SentAgain => {}
            Reply::Answered(asker) => turn.respond(asker.client, asker.correlation, response.clone()),
        }
        true
    }

    pub fn disconnected(&mut self, turn: &mut Turn<'_>, peer: NodeId) {
        self.channel.disconnected(turn, peer);
    }

    pub fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        self.channel.next_alarm()
    }
}

/// Whether only the controller answers this request.
pub fn is_forwarded(request: &Request) -> bool {
    matches!(
        request,
        Request::CreateTopics(_)
            | Request::DeleteTopics(_)
            | Request::CreatePartitions(_)
            | Request::IncrementalAlterConfigs(_)
            | Request::ElectLeaders(_)
            | Request::AlterPartitionReassignments(_)
            | Request::UnregisterBroker(_)
            | Request::AddRaftVoter(_)
            | Request::RemoveRaftVoter(_)
    )
}

/// The response that refuses a whole administrative request (`getErrorResponse`); `None` for others.
pub fn error_response(request: &Request, error: ErrorCode) -> Option<Response> {
    let error = code(Some(error));
    Some(match request {
        Request::CreateTopics(request) => {
            let refuse = |topic: &m::create_topics_request::CreatableTopic| {
                CreatableTopicResult::default().with_name(topic.name.clone()).with_error_code(error)
            };
            m::CreateTopicsResponse::default().with_topics(request.topics.iter().map(refuse).collect()).into()
        }
        Request::DeleteTopics(request) => {
            let refuse = |topic: &m::delete_topics_request::DeleteTopicState| {
                DeletableTopicResult::default()
                    .with_name(topic.name.clone())
                    .with_topic_id(topic.topic_id)
                    .with_error_code(error)
            };
            m::DeleteTopicsResponse::default().with_responses(request.topics.iter().map(refuse).collect()).into()
        }
        Request::CreatePartitions(request) => {
            let refuse = |topic: &m::create_partitions_request::CreatePartitionsTopic| {
                CreatePartitionsTopicResult::default().with_name(topic.name.clone()).with_error_code(error)
            };
            m::CreatePartitionsResponse::default().with_results(request.topics.iter().map(refuse).collect()).into()
        }
        Request::IncrementalAlterConfigs(request) => {
            let refuse = |resource: &m::incremental_alter_configs_request::AlterConfigsResource| {
                AlterConfigsResourceResponse::default()
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name.clone())
                    .with_error_code(error)
            };
            let responses = request.resources.iter().map(refuse).collect();
            m::IncrementalAlterConfigsResponse::default().with_responses(responses).into()
        }
        Request::UnregisterBroker(_) => m::UnregisterBrokerResponse::default().with_error_code(error).into(),
        Request::AddRaftVoter(_) => m::AddRaftVoterResponse::default().with_error_code(error).into(),
        Request::RemoveRaftVoter(_) => m::RemoveRaftVoterResponse::default().with_error_code(error).into(),
        Request::ElectLeaders(_) => m::ElectLeadersResponse::default().with_error_code(error).into(),
        Request::AlterPartitionReassignments(_) => {
            m::AlterPartitionReassignmentsResponse::default().with_error_code(error).into()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::node::Effects;
    use crate::wire::messages::create_topics_request::CreatableTopic;
    use crate::wire::{Body, ClientId, topic_name};

    const C1: NodeId = NodeId::controller(1);
    const CLIENT: NodeId = NodeId::Client(ClientId(0));

    fn create() -> Request {
        let topic = CreatableTopic::default().with_name(topic_name("orders"));
        m::CreateTopicsRequest::default().with_topics(vec![topic]).into()
    }

    fn created(error: Option<ErrorCode>) -> Response {
        let topic = CreatableTopicResult::default().with_name(topic_name("orders")).with_error_code(code(error));
        m::CreateTopicsResponse::default().with_topics(vec![topic]).into()
    }

    #[test]
    fn the_controllers_answer_goes_to_the_client_under_its_own_correlation() {
        let mut effects = Effects::new(1);
        let mut forwarder = Forwarder::new(BrokerId(1));
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        assert!(forwarder.forward(&mut turn, Some(C1), CLIENT, Correlation(77), &create()));
        let correlation = effects.sends.remove(0).1.correlation;
        let mut turn = Turn::new(Instant::from_millis(2), &mut effects);
        assert!(forwarder.handle_response(&mut turn, C1, correlation, &created(None)));
        let (to, envelope) = effects.sends.remove(0);
        assert_eq!((to, envelope.correlation), (CLIENT, Correlation(77)));
        assert_eq!(envelope.body, Body::Response(created(None)));
    }

    #[test]
    fn a_client_whose_request_reaches_no_controller_hears_so_after_a_minute() {
        let mut effects = Effects::new(1);
        let mut forwarder = Forwarder::new(BrokerId(1));
        forwarder.forward(&mut Turn::new(Instant::ZERO, &mut effects), None, CLIENT, Correlation(77), &create());
        let (at, _) = forwarder.next_alarm().expect("its patience ends");
        assert_eq!(at, Instant::from_secs(60));
        forwarder.poll(&mut Turn::new(at, &mut effects), None);
        assert_eq!(effects.sends[0].1.body, Body::Response(created(Some(ErrorCode::RequestTimedOut))));
    }

    #[test]
    fn what_brokers_answer_themselves_is_not_forwarded() {
        let mut effects = Effects::new(1);
        let request = Request::Metadata(m::MetadataRequest::default());
        assert!(!is_forwarded(&request) && is_forwarded(&create()));
        let mut turn = Turn::new(Instant::ZERO, &mut effects);
        assert!(!Forwarder::new(BrokerId(1)).forward(&mut turn, Some(C1), CLIENT, Correlation(1), &request));
    }
}
