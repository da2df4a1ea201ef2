//! Settings of topics, brokers and groups that change while the cluster runs (ConfigurationControlManager,
//! ControllerConfigurationValidator).

use crate::kafka::config::{self, Problem, SettingError};
use crate::kafka::controller::decide::{Decider, Decision, Refusal, outcome};
use crate::kafka::controller::image::Configs;
use crate::kafka::controller::record::{MetadataRecord, ResourceType};
use crate::sorted::SortedMap;
use crate::wire::messages::create_topics_request::CreatableTopic;
use crate::wire::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use crate::wire::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::wire::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use crate::wire::{BrokerId, ErrorCode, GroupId, StrBytes, TopicName, str_bytes, validate_topic_name};

pub const MIN_IN_SYNC_REPLICAS: &str = "min.insync.replicas";

/// Settings whose value is a list, to which one can append.
const LISTS: [&str; 3] =
    ["cleanup.policy", "leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];

impl Decider<'_> {
    /// ConfigurationControlManager.incrementalAlterConfigs: each resource for itself, all or nothing.
    pub fn incremental_alter_configs(
        &self,
        request: &IncrementalAlterConfigsRequest,
    ) -> Decision<IncrementalAlterConfigsResponse> {
        let mut records = Vec::new();
        let mut response = IncrementalAlterConfigsResponse::default();
        for resource in &request.resources {
            let same = |other: &&AlterConfigsResource| {
                other.resource_type == resource.resource_type && other.resource_name == resource.resource_name
            };
            let result = if request.resources.iter().filter(same).count() > 1 {
                Err(Refusal::new(ErrorCode::InvalidRequest, "Each resource must appear at most once."))
            } else {
                self.alter_resource(resource)
            };
            let mut answer = AlterConfigsResourceResponse::default();
            answer.resource_type = resource.resource_type;
            answer.resource_name = resource.resource_name.clone();
            (answer.error_code, answer.error_message) = outcome(&result);
            response.responses.push(answer);
            records.extend(result.into_iter().flatten());
        }
        if request.validate_only {
            records.clear();
        }
        Decision { records, response }
    }

    fn alter_resource(&self, resource: &AlterConfigsResource) -> Result<Vec<MetadataRecord>, Refusal> {
        let invalid = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
        let name = &resource.resource_name;
        let kind = ResourceType::of(resource.resource_type)
            .ok_or_else(|| invalid(format!("Unknown resource type {}", resource.resource_type)))?;
        let current = match kind {
            ResourceType::Topic if name.is_empty() => {
                return Err(invalid("Default topic resources are not allowed.".to_string()));
            }
            ResourceType::Topic => self.image.topics.get(&TopicName(name.clone())).map(|topic| topic.configs.clone()),
            ResourceType::Broker if name.is_empty() => Some(self.image.cluster_configs.clone()),
            ResourceType::Broker => Some(self.broker_configs(name)?),
            ResourceType::Group if name.is_empty() => {
                return Err(invalid("Default group resources are not allowed.".to_string()));
            }
            ResourceType::Group => {
                Some(self.image.group_configs.get(&GroupId(name.clone())).cloned().unwrap_or_default())
            }
        };
        let unknown = current.is_none();
        let current = current.unwrap_or_default();
        let mut changes = Vec::new();
        for operation in &resource.configs {
            let value = self.new_value(&current, operation)?;
            if kind == ResourceType::Broker || current.get(&operation.name) != value.as_ref() {
                changes.push((operation.name.clone(), value));
            }
        }
        match kind {
            ResourceType::Topic => self.check_topic_configs(name, &current, &changes)?,
            ResourceType::Broker => self.check_min_isr_change(name, &changes)?,
            ResourceType::Group => {
                first_invalid(&config::validate_group_configs(self.config, &texts(&changed(&current, &changes))))?;
            }
        }
        if unknown {
            let message = format!("The topic '{name}' does not exist.");
            return Err(Refusal::new(ErrorCode::UnknownTopicOrPartition, message));
        }
        Ok(self.config_records(kind, name, changes))
    }

    /// The settings of a broker by the resource's name.
    fn broker_configs(&self, name: &StrBytes) -> Result<Configs, Refusal> {
        let invalid = |message: &str| Refusal::new(ErrorCode::InvalidRequest, message);
        let id: i32 = name.parse().map_err(|_| invalid("Unable to parse broker name as a base 10 number."))?;
        if id < 0 {
            return Err(invalid("Invalid negative broker ID."));
        }
        if !self.image.brokers.contains_key(&BrokerId(id)) {
            return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, format!("No broker with id {id} found.")));
        }
        Ok(self.image.broker_configs.get(&BrokerId(id)).cloned().unwrap_or_default())
    }

    /// AlterConfigOp.OpType: set, delete, append, subtract.
    fn new_value(&self, current: &Configs, operation: &AlterableConfig) -> Result<Option<StrBytes>, Refusal> {
        let name = &operation.name;
        let asked = operation.value.as_ref();
        match operation.config_operation {
            0 if asked.is_none() => {
                let message = format!("Null value not supported for : {name}");
                Err(Refusal::new(ErrorCode::InvalidRequest, message))
            }
            0 => Ok(asked.cloned()),
            1 => Ok(None),
            operation @ (2 | 3) if !LISTS.contains(&name.as_str()) => {
                let verb = if operation == 2 { "APPEND" } else { "SUBTRACT" };
                let message = format!("Can't {verb} to key {name} because its type is not LIST.");
                Err(Refusal::new(ErrorCode::InvalidConfig, message))
            }
            operation @ (2 | 3) => {
                let default = if name.as_str() == "cleanup.policy" { "delete" } else { "" };
                let present = current.get(name).map_or(default, |value| value.as_str());
                let mut parts: Vec<&str> = present.split(',').filter(|part| !part.is_empty()).collect();
                for part in asked.map_or("", |value| value.as_str()).split(',') {
                    match parts.iter().position(|known| *known == part) {
                        Some(index) if operation == 3 => drop(parts.remove(index)),
                        None if operation == 2 => parts.push(part),
                        _ => {}
                    }
                }
                Ok(Some(str_bytes(&parts.join(","))))
            }
            other => Err(Refusal::new(ErrorCode::InvalidRequest, format!("Unknown operation type {other}"))),
        }
    }

    /// KIP-966: with the ELR the minimum ISR belongs to topics and the cluster, not to brokers.
    fn check_min_isr_change(
        &self,
        resource: &StrBytes,
        changes: &[(StrBytes, Option<StrBytes>)],
    ) -> Result<(), Refusal> {
        let change = changes.iter().find(|(name, _)| name.as_str() == MIN_IN_SYNC_REPLICAS);
        let message = match change {
            Some(_) if !self.image.has_eligible_leader_replicas() => return Ok(()),
            Some(_) if !resource.is_empty() => {
                "Broker-level min.insync.replicas cannot be altered while ELR is enabled."
            }
            Some((_, None)) => "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.",
            _ => return Ok(()),
        };
        Err(Refusal::new(ErrorCode::InvalidConfig, message))
    }

    /// The settings of a topic that is being created, as records.
    pub fn new_topic_configs(&self, topic: &CreatableTopic) -> Result<Vec<MetadataRecord>, Refusal> {
        let nulls: Vec<&str> =
            topic.configs.iter().filter(|config| config.value.is_none()).map(|config| config.name.as_str()).collect();
        if !nulls.is_empty() {
            let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        }
        let changes: SortedMap<StrBytes, Option<StrBytes>> =
            topic.configs.iter().map(|config| (config.name.clone(), config.value.clone())).collect();
        let changes: Vec<(StrBytes, Option<StrBytes>)> = changes.into_iter().collect();
        self.check_topic_configs(&topic.name.0, &Configs::new(), &changes)?;
        Ok(self.config_records(ResourceType::Topic, &topic.name.0, changes))
    }

    fn check_topic_configs(
        &self,
        name: &StrBytes,
        current: &Configs,
        changes: &[(StrBytes, Option<StrBytes>)],
    ) -> Result<(), Refusal> {
        validate_topic_name(name).map_err(|why| Refusal::new(ErrorCode::InvalidTopicException, why))?;
        first_invalid(&config::validate_topic_configs(self.config, &texts(&changed(current, changes))))
    }

    /// Every record of `min.insync.replicas` is followed by one that clears the ELRs it governed: they
    /// were gathered under the old minimum (KIP-966).
    fn config_records(
        &self,
        kind: ResourceType,
        resource: &StrBytes,
        changes: Vec<(StrBytes, Option<StrBytes>)>,
    ) -> Vec<MetadataRecord> {
        let clears_elr = self.image.has_eligible_leader_replicas()
            && changes.iter().any(|(name, _)| name.as_str() == MIN_IN_SYNC_REPLICAS);
        let config = |(name, value)| MetadataRecord::Config { kind, resource: resource.clone(), name, value };
        let mut records: Vec<MetadataRecord> = changes.into_iter().map(config).collect();
        if clears_elr {
            let is_topic = kind == ResourceType::Topic;
            records.push(MetadataRecord::ClearElr { topic: is_topic.then(|| resource.clone()) });
        }
        records
    }
}

/// The settings with what is to change.
fn changed(current: &Configs, changes: &[(StrBytes, Option<StrBytes>)]) -> Configs {
    let mut configs = current.clone();
    for (name, value) in changes {
        match value {
            Some(value) => configs.insert(name.clone(), value.clone()),
            None => configs.remove(name),
        };
    }
    configs
}

fn texts(configs: &Configs) -> config::Configs {
    configs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

/// Kafka's reason against the first setting that is not valid (LogConfig.validate, GroupConfig.validate).
/// Settings that Kafka has and Highwater does not simulate are kept and mean nothing.
fn first_invalid(errors: &[SettingError]) -> Result<(), Refusal> {
    match errors.iter().find(|error| matches!(error.problem, Problem::Unknown(_) | Problem::Refused(_))) {
        Some(refused) => Err(Refusal::new(ErrorCode::InvalidConfig, refused.to_string())),
        None => Ok(()),
    }
}
