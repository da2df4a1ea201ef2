//! The grammar of conditions: comparisons, `and`, `or`, `not` and parentheses.

use crate::kafka::fact::error_name;
use crate::kafka::node::TxnState;
use crate::scenario::condition::{BrokerState, Comparison, Condition, OffsetSpec, Op, Question, Value};
use crate::scenario::error::{ScriptError, Span};
use crate::scenario::lex::{Glyph, Word};
use crate::scenario::parse::{broker_ref, controller_ref};
use crate::scenario::quantity;
use crate::scenario::words::{self, BROKER_STATES, GROUP_STATES, QUESTIONS};
use crate::sim::action::{BrokerRef, NodeRef};
use crate::sim::queries::StreamCondition;
use crate::wire::{BrokerId, ErrorCode, TopicPartition};

/// How deep parentheses and `not` may be nested.
const DEEPEST: u32 = 50;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(Word),
    Op(Op, Span),
    Open(Span),
    Close(Span),
    Comma(Span),
}

/// Reads the whole of `words` as one condition; `end` is where the text ends.
pub fn condition(words: &[Word], end: Span) -> Result<Condition, ScriptError> {
    let mut parser = Parser { tokens: words.iter().flat_map(tokens).collect(), at: 0, depth: 0, end };
    let condition = parser.any()?;
    match parser.peek() {
        None => Ok(condition),
        Some(_) => Err(parser.wanted("`and`, `or` or the end of the condition")),
    }
}

/// Takes a word apart at its bare operators, commas and parentheses.
fn tokens(word: &Word) -> Vec<Token> {
    let line = word.span.line;
    let mut tokens = Vec::new();
    let mut part: Vec<Glyph> = Vec::new();
    let flush = |part: &mut Vec<Glyph>, tokens: &mut Vec<Token>| {
        if let (Some(first), Some(last)) = (part.first(), part.last()) {
            let span = Span { line, column: first.column, length: last.column + 1 - first.column };
            tokens.push(Token::Word(Word { glyphs: std::mem::take(part), span }));
        }
    };
    let mut i = 0;
    while let Some(glyph) = word.glyphs.get(i) {
        let bare = |glyph: Option<&Glyph>| glyph.filter(|g| !g.quoted).and_then(|g| g.c);
        let followed = bare(word.glyphs.get(i + 1)) == Some('=');
        let span = |length| Span { line, column: glyph.column, length };
        let token = match bare(Some(glyph)) {
            Some('(') => Some(Token::Open(span(1))),
            Some(')') => Some(Token::Close(span(1))),
            Some(',') => Some(Token::Comma(span(1))),
            Some('=') if followed => Some(Token::Op(Op::Equal, span(2))),
            Some('=') => Some(Token::Op(Op::Equal, span(1))),
            Some('!') if followed => Some(Token::Op(Op::NotEqual, span(2))),
            Some('<') if followed => Some(Token::Op(Op::AtMost, span(2))),
            Some('<') => Some(Token::Op(Op::Less, span(1))),
            Some('>') if followed => Some(Token::Op(Op::AtLeast, span(2))),
            Some('>') => Some(Token::Op(Op::Greater, span(1))),
            _ => None,
        };
        match token {
            None => part.push(*glyph),
            Some(token) => {
                flush(&mut part, &mut tokens);
                i += token.length() - 1;
                tokens.push(token);
            }
        }
        i += 1;
    }
    flush(&mut part, &mut tokens);
    tokens
}

impl Token {
    fn span(&self) -> Span {
        match self {
            Token::Word(word) => word.span,
            Token::Op(_, span) | Token::Open(span) | Token::Close(span) | Token::Comma(span) => *span,
        }
    }

    fn length(&self) -> usize {
        self.span().length as usize
    }

    fn text(&self) -> String {
        match self {
            Token::Word(word) => word.text(),
            Token::Op(op, _) => op.sign().to_string(),
            Token::Open(_) => "(".to_string(),
            Token::Close(_) => ")".to_string(),
            Token::Comma(_) => ",".to_string(),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    end: Span,
}

type Parsed<T> = Result<T, ScriptError>;

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn wanted(&self, expected: &str) -> ScriptError {
        match self.peek() {
            Some(token) => ScriptError::expected(token.span(), expected, &token.text()),
            None => ScriptError::expected(self.end, expected, ""),
        }
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word.is(keyword));
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, expected: &str) -> Parsed<Word> {
        match self.peek() {
            Some(Token::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => Err(self.wanted(expected)),
        }
    }

    fn any(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.one()?];
        while self.keyword("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self) -> Parsed<Condition> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let span = self.peek().map_or(self.end, Token::span);
            return Err(ScriptError::because(span, "(", format!("a condition is nested at most {DEEPEST} deep")));
        }
        let condition = if self.keyword("not") {
            Condition::Not(Box::new(self.one()?))
        } else if let Some(Token::Open(_)) = self.peek() {
            self.at += 1;
            let inner = self.any()?;
            if !matches!(self.peek(), Some(Token::Close(_))) {
                return Err(self.wanted("`)`"));
            }
            self.at += 1;
            inner
        } else {
            Condition::Is(self.comparison()?)
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Parsed<Comparison> {
        let word = self.word("a condition such as `leader orders-0 = 2`")?;
        let question = self.question(&word)?;
        let op = match self.peek() {
            Some(Token::Op(op, _)) => *op,
            _ => return Err(self.wanted("a comparison: `=`, `!=`, `<`, `<=`, `>` or `>=`")),
        };
        let op_span = self.peek().map_or(self.end, Token::span);
        self.at += 1;
        let value = self.value(&question)?;
        if !matches!(value, Value::Number(Some(_))) && !matches!(op, Op::Equal | Op::NotEqual) {
            let expected = format!("`=` or `!=`, the only comparisons of `{}`", question.word());
            return Err(ScriptError::expected(op_span, expected, op.sign()));
        }
        Ok(Comparison { question, op, value })
    }

    fn question(&mut self, word: &Word) -> Parsed<Question> {
        Ok(match word.text().as_str() {
            "leader" => Question::Leader(self.partition()?),
            "leader-epoch" => Question::LeaderEpoch(self.partition()?),
            "isr" => Question::Isr(self.partition()?),
            "isr-size" => Question::IsrSize(self.partition()?),
            "elr" => Question::Elr(self.partition()?),
            "replicas" => Question::Replicas(self.partition()?),
            "partition-epoch" => Question::PartitionEpoch(self.partition()?),
            "hw" => self.partition_at().map(|(p, at)| Question::HighWatermark(p, at))?,
            "leo" => self.partition_at().map(|(p, at)| Question::LogEnd(p, at))?,
            "log-start" => self.partition_at().map(|(p, at)| Question::LogStart(p, at))?,
            "lso" => self.partition_at().map(|(p, at)| Question::LastStable(p, at))?,
            "log-bytes" => self.partition_at().map(|(p, at)| Question::LogBytes(p, at))?,
            "flushed" => self.partition_at().map(|(p, at)| Question::Flushed(p, at))?,
            "cleaned" => self.partition_at().map(|(p, at)| Question::Cleaned(p, at))?,
            "producers" => self.partition_at().map(|(p, at)| Question::Producers(p, at))?,
            "segments" => self.partition_at().map(|(p, at)| Question::Segments(p, at))?,
            "offset-of" => Question::OffsetOf(self.partition()?, self.offset_spec()?),
            "broker" => Question::Broker(broker_ref(&self.word("a broker")?)?),
            "controller" => Question::Controller,
            "controller-epoch" => Question::ControllerEpoch,
            "quorum-leader" => Question::QuorumLeader,
            "state" => Question::GroupState(self.name("a group")?),
            "generation" => Question::Generation(self.name("a group")?),
            "members" => Question::Members(self.name("a group")?),
            "assigned" => Question::Assigned(self.name("a consumer")?),
            "position" => Question::Position(self.name("a consumer")?, self.partition()?),
            "committed" => Question::Committed(self.name("a group")?, self.partition()?),
            "start-offset" => Question::StartOffset(self.name("a share group")?, self.partition()?),
            "acquired" => Question::Acquired(self.name("a share group")?, self.partition()?),
            "lag" => Question::Lag(self.name("a group")?, self.partition_if_any()?),
            "acked" => Question::Acked(self.name("a producer")?),
            "failed" => Question::Failed(self.name("a producer")?, self.error_if_any()?),
            "pending" => Question::Pending(self.name("a producer")?),
            "transaction" => Question::Transaction(self.name("a producer")?),
            "checkpoint" => Question::Checkpoint(self.name("a stream")?, self.partition()?),
            "batch" => Question::Batch(self.name("a stream")?),
            "planned" => Question::Planned(self.name("a stream")?),
            "stream" => Question::StreamState(self.name("a stream")?),
            "delivered" => Question::Delivered(self.name("a consumer")?, self.partition()?),
            "values" => Question::Values(self.name("a consumer")?, self.partition()?),
            "partition-of" => Question::PartitionOf(self.name("a topic")?, self.word("a key")?.text()),
            "records" => self.partition_at().map(|(p, at)| Question::Records(p, at))?,
            "voters" => Question::Voters,
            "metadata-start" => Question::MetadataStart(self.node()?),
            "metadata-end" => Question::MetadataEnd(self.node()?),
            "snapshot" => Question::Snapshot(self.node()?),
            "feature" => Question::Feature(self.name("a feature such as `metadata.version`")?),
            "lost" => Question::Lost,
            "duplicated" => Question::Duplicated(self.name("a group")?),
            "reordered" => Question::Reordered,
            "phantom" => Question::Phantom,
            "skipped" => Question::Skipped(self.name("a group")?),
            "under-replicated" => Question::UnderReplicated,
            "diverged" => Question::Diverged,
            "under-min-isr" => Question::UnderMinIsr,
            "offline" => Question::Offline,
            other => return Err(ScriptError::unknown(word.span, "condition", other, QUESTIONS.iter().copied())),
        })
    }

    fn name(&mut self, what: &str) -> Parsed<String> {
        let word = self.word(what)?;
        match word.text() {
            text if text.is_empty() => Err(ScriptError::expected(word.span, what, "\"\"")),
            text => Ok(text),
        }
    }

    /// Whoever has the metadata log: a broker or a controller.
    fn node(&mut self) -> Parsed<NodeRef> {
        let word = self.word("a broker such as `1` or a controller such as `c1`")?;
        let is_controller = word.is("active") || crate::scenario::parse::controller_id(&word.text()).is_some();
        if is_controller {
            return controller_ref(&word).map(NodeRef::Controller);
        }
        broker_ref(&word).map(NodeRef::Broker)
    }

    fn partition(&mut self) -> Parsed<TopicPartition> {
        let word = self.word("a partition such as `orders-0`")?;
        partition(&word)
    }

    fn partition_if_any(&mut self) -> Parsed<Option<TopicPartition>> {
        match self.peek() {
            Some(Token::Word(_)) => self.partition().map(Some),
            _ => Ok(None),
        }
    }

    fn partition_at(&mut self) -> Parsed<(TopicPartition, Option<BrokerRef>)> {
        let word = self.word("a partition such as `orders-0` or `orders-0@2`")?;
        match word.split_once("@") {
            None => Ok((partition(&word)?, None)),
            Some((left, right)) => Ok((partition(&left)?, Some(broker_ref(&right)?))),
        }
    }

    fn offset_spec(&mut self) -> Parsed<OffsetSpec> {
        let expected = "`earliest`, `latest`, `max-timestamp`, `earliest-local` or a timestamp such as `2s`";
        let word = self.word(expected)?;
        let named = [OffsetSpec::Earliest, OffsetSpec::Latest, OffsetSpec::MaxTimestamp, OffsetSpec::EarliestLocal];
        let text = word.text();
        let spec = named.into_iter().find(|spec| spec.to_string() == text);
        spec.or_else(|| quantity::duration(&text).map(|time| OffsetSpec::Timestamp(time.millis())))
            .ok_or_else(|| ScriptError::expected(word.span, expected, &text))
    }

    fn error_if_any(&mut self) -> Parsed<Option<ErrorCode>> {
        let Some(Token::Word(word)) = self.peek() else { return Ok(None) };
        let word = word.clone();
        self.at += 1;
        let text = word.text();
        let known = error_names();
        match known.iter().find(|(name, _)| *name == text) {
            Some((_, error)) => Ok(Some(*error)),
            None => {
                let names = known.iter().map(|(name, _)| name.as_str());
                Err(ScriptError::unknown(word.span, "error of Kafka's", &text, names))
            }
        }
    }

    fn value(&mut self, question: &Question) -> Parsed<Value> {
        match question {
            Question::Leader(_) => {
                let word = self.word("a broker or `none`")?;
                Ok(Value::Broker(if word.is("none") { None } else { Some(broker_ref(&word)?) }))
            }
            Question::Isr(_) | Question::Elr(_) | Question::Replicas(_) => {
                let items = self.list("brokers such as `2,3`, or `none`")?;
                items.iter().map(broker_ref).collect::<Parsed<_>>().map(Value::Brokers)
            }
            Question::Broker(_) => {
                let word = self.word(&words::one_of(BROKER_STATES))?;
                let state = BrokerState::parse(&word.text());
                state.map(Value::BrokerState).ok_or_else(|| unknown("broker state", &word, BROKER_STATES))
            }
            Question::Controller | Question::QuorumLeader => {
                let word = self.word("a controller such as `c2`, or `none`")?;
                Ok(Value::Controller(if word.is("none") { None } else { Some(controller_ref(&word)?) }))
            }
            Question::Voters => {
                let items = self.list("controllers such as `c1,c2`")?;
                items.iter().map(controller_ref).collect::<Parsed<_>>().map(Value::Controllers)
            }
            Question::GroupState(_) => {
                let word = self.word("a group state such as `Stable`")?;
                let state = GROUP_STATES.iter().find(|state| **state == word.text());
                let state = state.ok_or_else(|| unknown("group state", &word, GROUP_STATES))?;
                Ok(Value::GroupState(state.to_string()))
            }
            Question::Transaction(_) => {
                let word = self.word("a state of a transaction such as `IN_TRANSACTION`")?;
                let state = TxnState::ALL.into_iter().find(|state| state.name() == word.text());
                let names = TxnState::ALL.map(TxnState::name);
                state.map(Value::TransactionState).ok_or_else(|| unknown("transaction state", &word, &names))
            }
            Question::StreamState(_) => {
                let names = StreamCondition::ALL.map(StreamCondition::word);
                let word = self.word(&words::one_of(&names))?;
                let state = StreamCondition::ALL.into_iter().find(|state| state.word() == word.text());
                state.map(Value::StreamState).ok_or_else(|| unknown("stream state", &word, &names))
            }
            Question::Assigned(_) => {
                let items = self.list("partitions such as `orders-0,orders-2`, or `none`")?;
                items.iter().map(partition).collect::<Parsed<_>>().map(Value::Partitions)
            }
            Question::Segments(..) => {
                let expected = "offsets such as `0,5`";
                let offset = |word: &Word| {
                    let offset = word.text().parse::<i64>().ok().filter(|offset| *offset >= 0);
                    offset.ok_or_else(|| ScriptError::expected(word.span, expected, &word.text()))
                };
                self.list(expected)?.iter().map(offset).collect::<Parsed<_>>().map(Value::Offsets)
            }
            Question::Values(..) | Question::Records(..) => {
                let items = self.list("values such as `created,paid`, or `none`")?;
                let value = |word: &Word| if word.is("null") { None } else { Some(word.text()) };
                Ok(Value::Values(items.iter().map(value).collect()))
            }
            _ => self.number(),
        }
    }

    fn number(&mut self) -> Parsed<Value> {
        let word = self.word("a number")?;
        if word.is("none") {
            return Ok(Value::Number(None));
        }
        match word.text().parse() {
            Ok(number) => Ok(Value::Number(Some(number))),
            Err(_) => Err(ScriptError::expected(word.span, "a number", &word.text())),
        }
    }

    /// Words between commas; `none` alone is the empty list.
    fn list(&mut self, expected: &str) -> Parsed<Vec<Word>> {
        let mut items = vec![self.word(expected)?];
        if items[0].is("none") {
            return Ok(Vec::new());
        }
        while let Some(Token::Comma(_)) = self.peek() {
            self.at += 1;
            items.push(self.word(expected)?);
        }
        Ok(items)
    }
}

fn unknown(kind: &str, word: &Word, valid: &[&'static str]) -> ScriptError {
    ScriptError::unknown(word.span, kind, &word.text(), valid.iter().copied())
}

/// Reads `orders-0`.
pub fn partition(word: &Word) -> Parsed<TopicPartition> {
    let text = word.text();
    let digits = text.rsplit('-').next().is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    TopicPartition::parse(&text)
        .filter(|_| digits)
        .ok_or_else(|| ScriptError::expected(word.span, "a partition such as `orders-0`", &text))
}

/// Every error of Kafka's by its name in capitals.
fn error_names() -> Vec<(String, ErrorCode)> {
    (-1..=200)
        .filter_map(ErrorCode::try_from_code)
        .filter(|error| !matches!(error, ErrorCode::Unknown(_)))
        .map(|error| (error_name(error), error))
        .collect()
}

/// A broker's id in text.
pub fn broker_id(text: &str) -> Option<BrokerId> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).map(BrokerId)
}
