//! The uniform assignor for members that all subscribe to the same topics
//! (UniformHomogeneousAssignmentBuilder): everybody gets equally many partitions, and keeps what
//! fits.

use crate::kafka::group::assignor::{GroupSpec, Partitions, Targets, UnknownTopic};
use crate::wire::{StrBytes, Uuid};

/// Partitions that look for a member, in the order in which they are handed out.
type Unassigned = Vec<(Uuid, i32)>;

pub(super) fn assign(spec: &GroupSpec) -> Result<Targets, UnknownTopic> {
    let subscribed = &spec.members[0].topics;
    let mut targets = Targets::new();
    if subscribed.is_empty() {
        return Ok(targets);
    }
    for topic in subscribed {
        spec.partitions_of(topic)?;
    }
    let mut unassigned = Unassigned::new();
    let mut total = 0;
    for (topic, partitions) in spec.topics.iter().filter(|(topic, _)| subscribed.contains(topic)) {
        let owned = |partition: &i32| {
            spec.members.iter().any(|m| m.target.get(topic).is_some_and(|owned| owned.contains(partition)))
        };
        unassigned.extend((0..*partitions).filter(|partition| !owned(partition)).map(|partition| (*topic, partition)));
        total += partitions;
    }
    let unfilled = revoke(spec, total, &mut unassigned, &mut targets);
    let mut rest = unassigned.into_iter();
    for (member, quota) in unfilled {
        let Some(target) = targets.get_mut(&member) else { continue };
        for (topic, partition) in rest.by_ref().take(quota as usize) {
            target.entry(topic).or_default().insert(partition);
        }
    }
    Ok(targets)
}

/// Each member keeps what it subscribes to, up to its quota (maybeRevokePartitions). The members
/// that have room, with how much.
fn revoke(spec: &GroupSpec, total: i32, unassigned: &mut Unassigned, targets: &mut Targets) -> Vec<(StrBytes, i32)> {
    let count = spec.members.len() as i32;
    let least = total / count;
    // So many members get one partition more than the others.
    let mut extras = total % count;
    let mut unfilled = Vec::new();
    for (index, member) in spec.members.iter().enumerate() {
        let mut has_extra = extras > 0;
        let mut quota = least + i32::from(has_extra);
        let mut target = Partitions::new();
        for (topic, partitions) in member.target.iter().filter(|(topic, _)| member.topics.contains(topic)) {
            let kept = quota.min(partitions.len() as i32);
            quota -= kept;
            if kept > 0 {
                target.insert(*topic, partitions.iter().take(kept as usize).copied().collect());
            }
            unassigned.extend(partitions.iter().skip(kept as usize).map(|partition| (*topic, *partition)));
        }
        // Whoever does not fill its place leaves the extra partition to those who already have one.
        if quota > 0 && has_extra && count - index as i32 > extras {
            quota -= 1;
            has_extra = false;
        }
        if quota > 0 {
            unfilled.push((member.id.clone(), quota));
        }
        extras -= i32::from(has_extra);
        targets.insert(member.id.clone(), target);
    }
    unfilled
}
