//! What the language can say and the engine cannot do yet. Such a line is refused by name, never
//! ignored. To lift a restriction, delete its line here.

/// A part of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    ControllerDisks,
}

const NOT_YET: &[(Feature, &str)] = &[(
    Feature::ControllerDisks,
    "the loss of a controller's disk is not simulated: it would be another voter (KIP-853), and comes back as none",
)];

/// Why the feature is refused; `None` when the engine has it.
pub fn refusal(feature: Feature) -> Option<&'static str> {
    NOT_YET.iter().find(|(refused, _)| *refused == feature).map(|(_, reason)| *reason)
}
