//! The kinds of values, and what the roots of a scope hold.

use std::fmt;

use crate::model::StageStatus;
use crate::pipeline::EVENTS;

/// How a need may stand when it is asked about.
const STATUSES: [StageStatus; 4] =
    [StageStatus::Passed, StageStatus::Failed, StageStatus::Skipped, StageStatus::Cancelled];

/// What is known of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline::expression) enum Kind {
    /// Nothing is known.
    Any,
    Bool,
    /// Whole or not.
    Number,
    Text,
    /// A text that is one of a few words.
    Word(Words),
    Bytes,
    Null,
    List(Box<Kind>),
    Map(Box<Kind>),
    Record(Record),
}

/// The words that a text may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline::expression) enum Words {
    Events,
    Statuses,
}

/// A map whose names are all known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline::expression) enum Record {
    Git,
    PullRequest,
    Need,
}

impl Kind {
    /// What a root of the scope holds; any other name is a metric.
    pub(super) fn of_root(name: &str) -> Self {
        let map = |values| Self::Map(Box::new(values));
        match name {
            "event" => Self::Word(Words::Events),
            "git" => Self::Record(Record::Git),
            "pull_request" => Self::Record(Record::PullRequest),
            "inputs" => map(Self::Any),
            "matrix" | "env" => map(Self::Text),
            "needs" => map(Self::Record(Record::Need)),
            "metrics" => map(Self::Number),
            _ => Self::Number,
        }
    }

    /// The kind that all have; `Any` when they differ or there is none.
    pub(super) fn common(kinds: Vec<Self>) -> Self {
        let mut kinds = kinds.into_iter().map(|it| match it {
            Self::Word(_) => Self::Text,
            other => other,
        });
        let Some(first) = kinds.next() else { return Self::Any };
        if kinds.all(|it| it == first) { first } else { Self::Any }
    }

    /// Whether a template may hold it.
    pub(super) fn can_be_text(&self) -> bool {
        match self {
            Self::List(_) | Self::Map(_) | Self::Record(_) | Self::Bytes => false,
            Self::Any | Self::Bool | Self::Number | Self::Text | Self::Word(_) | Self::Null => true,
        }
    }

    /// Values of different classes are never equal; `None` may be equal to anything.
    pub(super) fn class(&self) -> Option<u8> {
        match self {
            Self::Any | Self::Null => None,
            Self::Bool => Some(0),
            Self::Number => Some(1),
            Self::Text | Self::Word(_) => Some(2),
            Self::Bytes => Some(3),
            Self::List(_) => Some(4),
            Self::Map(_) | Self::Record(_) => Some(5),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Any | Self::Text | Self::Word(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Any | Self::Number)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "a value",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text | Self::Word(_) => "a string",
            Self::Bytes => "a text of bytes",
            Self::Null => "null",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Record(_) => "a map",
        })
    }
}

impl Words {
    pub(super) fn all(self) -> Vec<&'static str> {
        match self {
            Self::Events => EVENTS.to_vec(),
            Self::Statuses => STATUSES.iter().map(|it| it.as_str()).collect(),
        }
    }
}

impl Record {
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Git => &["sha", "ref", "branch", "tag", "message", "author", "dirty"],
            Self::PullRequest => &["number", "base", "head", "title", "author", "fork"],
            Self::Need => &["status", "outputs", "metrics"],
        }
    }

    pub(super) fn field(self, name: &str) -> Option<Kind> {
        if !self.fields().contains(&name) {
            return None;
        }
        Some(match (self, name) {
            (Self::Git, "dirty") | (Self::PullRequest, "fork") => Kind::Bool,
            (Self::PullRequest, "number") => Kind::Number,
            (Self::Need, "status") => Kind::Word(Words::Statuses),
            (Self::Need, "outputs") => Kind::Map(Box::new(Kind::Text)),
            (Self::Need, _) => Kind::Map(Box::new(Kind::Number)),
            _ => Kind::Text,
        })
    }
}
