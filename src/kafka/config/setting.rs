//! One row of a table of settings: its name, type, default, valid values, meaning, and how it gets
//! into the typed struct. Parsing and the texts of errors are those of Kafka's ConfigDef.

use std::fmt;

use crate::kafka::config::foreign::{self, Foreign};
use crate::kafka::config::{OffsetReset, Starting, broker, consumer, group, producer, stream, topic};
use crate::sorted::SortedMap;
use crate::time::Duration;

/// Settings by Kafka's names, as they were written.
pub type Configs = SortedMap<String, String>;

/// Whose settings: what Kafka calls the entity type, or which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Topic,
    Broker,
    Producer,
    Consumer,
    /// Options of a stream reader, by Spark's names.
    Stream,
    /// Settings of one group (GroupConfig).
    Group,
}

/// Kafka's types of settings (ConfigDef.Type).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Short,
    Int,
    Long,
    Double,
    String,
    List,
}

/// Which values are valid (ConfigDef's validators).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    In(&'static [&'static str]),
    InAnyCase(&'static [&'static str]),
    NonEmpty,
    /// A list of these, none twice; empty only where `empty` says so (KIP-1161).
    ListOf {
        values: &'static [&'static str],
        empty: bool,
    },
    /// AutoOffsetResetStrategy.Validator.
    OffsetReset,
    /// ShareGroupAutoOffsetResetStrategy.Validator.
    ShareOffsetReset,
    /// ThrottledReplicaListValidator: `*`, or pairs of partition and broker.
    ThrottledReplicas,
    /// Names or classes of assignors (ConsumerPartitionAssignor.getAssignorInstances).
    Assignors,
    /// `earliest`, `latest` or JSON (Spark's JsonUtils.partitionOffsets).
    StartingOffsets,
    /// A number with a unit of time (Spark's JavaUtils.timeStringAs).
    TimeString,
}

/// A value that was parsed and found valid.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    Number(i64),
    /// A fraction in thousandths: Highwater computes with integers only.
    Permille(i32),
    Text(String),
    List(Vec<String>),
    OffsetReset(OffsetReset),
    Starting(Starting),
    Duration(Duration),
}

/// A row of a table; `C` is the struct that it sets a field of.
pub struct Setting<C: 'static> {
    pub name: &'static str,
    pub kind: Kind,
    /// As Kafka writes it; `null` where there is none.
    pub default: &'static str,
    pub valid: Valid,
    pub meaning: &'static str,
    pub set: fn(&mut C, &Value),
}

impl<C> Clone for Setting<C> {
    fn clone(&self) -> Setting<C> {
        *self
    }
}

impl<C> Copy for Setting<C> {}

/// A row as the page and the reference show it.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingInfo {
    pub name: &'static str,
    pub kind: &'static str,
    pub default: &'static str,
    /// As Kafka's documentation writes it: `[0,...]`.
    pub valid: String,
    pub meaning: &'static str,
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingError {
    pub name: String,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// Kafka has no such setting.
    Unknown(Scope),
    /// Kafka has it, Highwater does not simulate it.
    NotSimulated,
    /// The script says this in another way.
    WrittenElsewhere(&'static str),
    /// Kafka's own reason.
    Refused(String),
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.problem {
            Problem::Unknown(scope @ (Scope::Topic | Scope::Group)) => write!(f, "Unknown {scope} config name: {name}"),
            Problem::Unknown(scope) => write!(f, "unknown {scope} setting `{name}`"),
            Problem::NotSimulated => write!(f, "{name} is a Kafka setting that Highwater does not simulate yet"),
            Problem::WrittenElsewhere(how) => write!(f, "{name} is not set here: {how}"),
            Problem::Refused(reason) => f.write_str(reason),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::Topic => "topic",
            Scope::Broker => "broker",
            Scope::Producer => "producer",
            Scope::Consumer => "consumer",
            Scope::Stream => "stream",
            Scope::Group => "group",
        })
    }
}

/// The settings of a scope that Highwater simulates, in the order of the tables.
pub fn settings(scope: Scope) -> Vec<SettingInfo> {
    match scope {
        Scope::Topic => topic::TABLE.iter().map(Setting::info).collect(),
        Scope::Broker => broker::TABLE.iter().map(Setting::info).collect(),
        Scope::Producer => producer::TABLE.iter().map(Setting::info).collect(),
        Scope::Consumer => consumer::TABLE.iter().map(Setting::info).collect(),
        Scope::Stream => stream::infos(),
        Scope::Group => group::TABLE.iter().map(Setting::info).collect(),
    }
}

/// The names of a scope's settings that may be written.
pub fn names(scope: Scope) -> Vec<&'static str> {
    settings(scope).into_iter().map(|setting| setting.name).collect()
}

/// Sets what `configs` says and reports every entry that cannot be set. Rows are taken in the
/// order of the table, so a row further down overrides its synonyms above it.
pub(super) fn apply<C>(table: &[Setting<C>], scope: Scope, config: &mut C, configs: &Configs) -> Vec<SettingError> {
    let mut errors = Vec::new();
    for (name, _) in configs.iter().filter(|(name, _)| table.iter().all(|row| row.name != name.as_str())) {
        let problem = match foreign::find(scope, name) {
            Some(Foreign::NotSimulated) => Problem::NotSimulated,
            Some(Foreign::WrittenElsewhere(how)) => Problem::WrittenElsewhere(how),
            None => Problem::Unknown(scope),
        };
        errors.push(SettingError { name: name.clone(), problem });
    }
    for row in table {
        let Some(text) = configs.get(row.name) else { continue };
        match row.parse(text) {
            Ok(value) => (row.set)(config, &value),
            Err(reason) => errors.push(refused(row.name, reason)),
        }
    }
    errors
}

/// Whether the settings may be compared with each other: every one that counts was read.
pub(super) fn all_read(errors: &[SettingError]) -> bool {
    !errors.iter().any(|error| matches!(error.problem, Problem::Refused(_)))
}

pub(super) fn refused(name: &str, reason: impl Into<String>) -> SettingError {
    SettingError { name: name.to_string(), problem: Problem::Refused(reason.into()) }
}

impl<C> Setting<C> {
    pub fn info(&self) -> SettingInfo {
        SettingInfo {
            name: self.name,
            kind: self.kind.name(),
            default: self.default,
            valid: self.valid.to_string(),
            meaning: self.meaning,
        }
    }

    /// Parses and checks a value; the error is Kafka's.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let invalid = |shown: &str, why: &str| format!("Invalid value {shown} for configuration {}: {why}", self.name);
        let trimmed = text.trim();
        match self.kind {
            Kind::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            Kind::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
            Kind::Boolean => Err(invalid(text, "Expected value to be either true or false")),
            Kind::Short | Kind::Int | Kind::Long => {
                let number = self.kind.integer(trimmed);
                let number =
                    number.ok_or_else(|| invalid(text, &format!("Not a number of type {}", self.kind.name())))?;
                self.valid.number(number).map_err(|why| invalid(trimmed, &why))?;
                Ok(Value::Number(number))
            }
            Kind::Double => {
                let permille = permille(trimmed).ok_or_else(|| invalid(text, "Not a number of type DOUBLE"))?;
                let permille = self.valid.fraction(permille).map_err(|why| invalid(trimmed, &why))?;
                Ok(Value::Permille(permille))
            }
            Kind::String => self.valid.text(self.name, trimmed),
            Kind::List => self.valid.list(self.name, trimmed),
        }
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Short => "SHORT",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::String => "STRING",
            Kind::List => "LIST",
        }
    }

    fn integer(self, text: &str) -> Option<i64> {
        match self {
            Kind::Short => text.parse::<i16>().ok().map(i64::from),
            Kind::Int => text.parse::<i32>().ok().map(i64::from),
            _ => text.parse::<i64>().ok(),
        }
    }
}

impl Valid {
    /// ConfigDef.Range.
    fn number(self, number: i64) -> Result<(), String> {
        match self {
            Valid::AtLeast(least) | Valid::Between(least, _) if number < least => {
                Err(format!("Value must be at least {least}"))
            }
            Valid::Between(_, most) if number > most => Err(format!("Value must be no more than {most}")),
            _ => Ok(()),
        }
    }

    fn fraction(self, permille: i64) -> Result<i32, String> {
        match self {
            Valid::Between(least, most) => {
                if permille < least * 1_000 {
                    return Err(format!("Value must be at least {least}"));
                }
                if permille > most * 1_000 {
                    return Err(format!("Value must be no more than {most}"));
                }
                Ok(permille as i32)
            }
            _ => Ok(permille.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32),
        }
    }

    fn text(self, name: &str, text: &str) -> Result<Value, String> {
        let invalid = |why: String| Err(format!("Invalid value {text} for configuration {name}: {why}"));
        match self {
            Valid::In(values) if !values.contains(&text) => {
                invalid(format!("String must be one of: {}", values.join(", ")))
            }
            Valid::InAnyCase(values) => match values.iter().find(|value| value.eq_ignore_ascii_case(text)) {
                Some(value) => Ok(Value::Text(value.to_ascii_lowercase())),
                None => invalid(format!("String must be one of (case insensitive): {}", values.join(", "))),
            },
            Valid::NonEmpty if text.is_empty() => invalid("String must be non-empty".to_string()),
            Valid::ShareOffsetReset => match consumer::offset_reset(text).filter(|reset| *reset != OffsetReset::None) {
                Some(reset) => Ok(Value::OffsetReset(reset)),
                None => invalid(format!(
                    "Invalid value `{text}` for configuration {name}. The value must be either 'earliest', 'latest' \
                     or of the format 'by_duration:<PnDTnHnMn.nS.>'."
                )),
            },
            Valid::OffsetReset => match consumer::offset_reset(text) {
                Some(reset) => Ok(Value::OffsetReset(reset)),
                None => invalid(format!(
                    "Invalid value `{text}` for configuration {name}. The value must be either 'earliest', 'latest', \
                     'none' or of the format 'by_duration:<PnDTnHnMn.nS.>'."
                )),
            },
            Valid::StartingOffsets => Starting::parse(text).map(Value::Starting),
            Valid::TimeString => match stream::time_string(text) {
                Some(time) => Ok(Value::Duration(time)),
                None => invalid("expected a time such as 40ms, 2s or 15m".to_string()),
            },
            _ => Ok(Value::Text(text.to_string())),
        }
    }

    fn list(self, name: &str, text: &str) -> Result<Value, String> {
        let items: Vec<String> =
            if text.is_empty() { Vec::new() } else { text.split(',').map(|item| item.trim().to_string()).collect() };
        if let Valid::Assignors = self {
            return consumer::assignors(name, &items).map(Value::List);
        }
        if let Valid::ThrottledReplicas = self {
            let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let pair = |item: &String| item.split_once(':').is_some_and(|(p, b)| number(p) && number(b));
            if items.iter().any(|item| item != "*") && !items.iter().all(pair) {
                return Err(format!(
                    "Invalid value {text} for configuration {name}: {name} must be the literal '*' or a list of \
                     replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                ));
            }
        }
        if let Valid::ListOf { values, empty } = self {
            if items.is_empty() && !empty {
                return Err(format!(
                    "Configuration '{name}' must not be empty. Valid values include: [{}]",
                    values.join(", ")
                ));
            }
            if items.iter().enumerate().any(|(i, item)| items[..i].contains(item)) {
                return Err(format!("Configuration '{name}' values must not be duplicated."));
            }
            for item in &items {
                Valid::In(values).text(name, item)?;
            }
        }
        Ok(Value::List(items))
    }
}

impl fmt::Display for Valid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Valid::Any => f.write_str("any"),
            Valid::AtLeast(least) => write!(f, "[{least},...]"),
            Valid::Between(least, most) => write!(f, "[{least},...,{most}]"),
            Valid::In(values) | Valid::ListOf { values, .. } => write!(f, "[{}]", values.join(", ")),
            Valid::InAnyCase(values) => write!(f, "(case insensitive) [{}]", values.join(", ")),
            Valid::NonEmpty => f.write_str("non-empty string"),
            Valid::ThrottledReplicas => f.write_str("[partitionId]:[brokerId],[partitionId]:[brokerId],..."),
            Valid::ShareOffsetReset => f.write_str("[latest, earliest, by_duration:PnDTnHnMn.nS]"),
            Valid::OffsetReset => f.write_str("[latest, earliest, none, by_duration:PnDTnHnMn.nS]"),
            Valid::StartingOffsets => f.write_str("[earliest, latest, {\"topic\":{\"0\":23,\"1\":-2}}]"),
            Valid::TimeString => f.write_str("a time such as 1s"),
            Valid::Assignors => write!(f, "[{}]", consumer::ASSIGNORS.map(|(name, _)| name).join(", ")),
        }
    }
}

/// What a row's setter takes out of a value. A row's kind and its setter agree: a test sets every
/// row of every table.
impl Value {
    pub fn boolean(&self) -> bool {
        matches!(self, Value::Boolean(true))
    }

    pub fn long(&self) -> i64 {
        match self {
            Value::Number(number) => *number,
            other => unreachable!("a number is set from {other:?}"),
        }
    }

    pub fn int(&self) -> i32 {
        i32::try_from(self.long()).expect("rows set from `int` are of kind Short or Int")
    }

    pub fn millis(&self) -> Duration {
        Duration::from_millis(self.long())
    }

    pub fn duration(&self) -> Duration {
        match self {
            Value::Duration(duration) => *duration,
            other => unreachable!("a time is set from {other:?}"),
        }
    }

    pub fn permille(&self) -> i32 {
        match self {
            Value::Permille(permille) => *permille,
            other => unreachable!("a fraction is set from {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            other => unreachable!("a text is set from {other:?}"),
        }
    }

    pub fn list(&self) -> &[String] {
        match self {
            Value::List(list) => list,
            other => unreachable!("a list is set from {other:?}"),
        }
    }
}

/// Reads a decimal number in thousandths; further digits are dropped.
fn permille(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) || whole.len() > 12 {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let thousandths: i64 = fraction.chars().chain("000".chars()).take(3).collect::<String>().parse().ok()?;
    let value = whole * 1_000 + thousandths;
    Some(if negative { -value } else { value })
}
