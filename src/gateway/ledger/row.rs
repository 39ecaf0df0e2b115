//! One call, as it is written down for good.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::notes::Notes;
use super::trail::Trail;

use crate::gateway::budget::CallId;
use crate::gateway::budget::account::Amount;
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::cache::semantic::Likeness;
use crate::gateway::call::headers;
use crate::gateway::prices::PriceRef;
use crate::model::{Timestamp, Usage, UsdNanos};
use crate::provider::Operation;
use crate::store::spend::calls::{CallRow, OF_REPORTS, Owner};

/// Where an answer came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A provider.
    #[default]
    Live,
    /// The gateway's cache.
    Cache,
    /// A cassette.
    Cassette,
}

impl Origin {
    /// The word in headers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Cache => "cache",
            Self::Cassette => "cassette",
        }
    }
}

/// What a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A call to a model.
    Call(Operation),
    /// Something else that was used, as an app reports it.
    Usage,
}

impl What {
    /// The word in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Call(operation) => operation.path().trim_start_matches("/v1/"),
            Self::Usage => OF_REPORTS,
        }
    }

    /// The kind of call, if it is one.
    #[must_use]
    pub fn operation(self) -> Option<Operation> {
        match self {
            Self::Call(operation) => Some(operation),
            Self::Usage => None,
        }
    }
}

impl Serialize for What {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Call(operation) => operation.serialize(serializer),
            Self::Usage => serializer.serialize_str(OF_REPORTS),
        }
    }
}

/// Another question that means the same, and how like it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Similar {
    /// The cosine of their embeddings.
    pub likeness: Likeness,
    /// The request that brought its answer.
    pub to: String,
}

impl Similar {
    /// As words among the flags.
    #[must_use]
    pub fn words(&self) -> [String; 2] {
        [format!("similarity={}", self.likeness), format!("similar_to={}", self.to)]
    }
}

impl Serialize for Similar {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.words())
    }
}

/// One call, as it is written down for good.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Name of the client's request.
    pub request: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// When it began.
    pub at: Timestamp,
    /// The key that it came with.
    pub key: String,
    /// Whose it was.
    pub subject: Subject,
    /// What it was.
    pub operation: What,
    /// Who served it.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered.
    pub answered_by: Option<String>,
    /// Where the answer came from.
    pub origin: Origin,
    /// The status of the answer; none when none came.
    pub status: Option<u16>,
    /// What it used.
    pub usage: Usage,
    /// What it cost.
    pub cost: UsdNanos,
    /// What it would have cost, had it gone out.
    pub avoided: UsdNanos,
    /// What was reserved.
    pub reserved: UsdNanos,
    /// What it cost beyond that.
    pub overrun: UsdNanos,
    /// The price that was taken.
    pub price: Option<PriceRef>,
    /// Words on what was not as usual: `estimated`, `cut`, `client_gone`, `unpriced`.
    pub flags: Vec<&'static str>,
    /// Until the first piece of the answer.
    pub first_token_ms: Option<u64>,
    /// Until the end.
    pub total_ms: u64,
    /// What the app tells it apart by: words with spaces between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tags: String,
    /// Another question whose answer was, or would have been, given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub similar: Option<Similar>,
    /// Where an attempt of a stage learns of it.
    #[serde(skip)]
    pub notes: Option<Arc<Notes>>,
    /// Where it is noted what happens.
    #[serde(skip)]
    pub trail: Trail,
}

impl Row {
    /// What was not as usual, as it is stored and shown.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let flags = self.flags.iter().map(|it| (*it).to_owned());
        flags.chain(self.similar.iter().flat_map(Similar::words)).collect()
    }

    /// As a row of the store.
    pub(super) fn stored(&self, spender: &str, tokens: i64) -> CallRow {
        let price = self.price.as_ref();
        CallRow {
            request: self.request.clone(),
            attempt: i64::from(self.attempt),
            at: self.at,
            spender: spender.to_owned(),
            key_name: self.key.clone(),
            owner: owner(&self.subject),
            operation: self.operation.word().to_owned(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            answered_by: self.answered_by.clone().unwrap_or_default(),
            origin: self.origin.as_str().to_owned(),
            status: self.status.map(i64::from),
            usage: serde_json::to_string(&self.usage).unwrap_or_default(),
            input_tokens: count(self.usage.input_tokens()),
            output_tokens: count(self.usage.output_tokens()),
            cache_read_tokens: count(self.usage.cache_read_tokens()),
            tokens,
            cost: self.cost,
            avoided: self.avoided,
            reserved: self.reserved,
            overrun: self.overrun,
            price: price.map(|it| it.id.clone()).unwrap_or_default(),
            price_from: price.and_then(|it| it.from).map(|it| it.to_string()).unwrap_or_default(),
            flags: self.words().join(" "),
            first_token_ms: self.first_token_ms.map(count),
            total_ms: count(self.total_ms),
            tags: self.tags.clone(),
        }
    }
}

/// A call that nobody settled in time, at its estimate.
pub(super) fn expired(
    spender: &str,
    (id, subject): (CallId, &Subject),
    cost: Amount,
    now: Timestamp,
) -> CallRow {
    CallRow {
        request: headers::request_id(id.request),
        attempt: i64::from(id.attempt),
        at: now,
        spender: spender.to_owned(),
        owner: owner(subject),
        operation: "lost".to_owned(),
        model: subject.get(Kind::Model).unwrap_or_default().to_owned(),
        origin: Origin::Live.as_str().to_owned(),
        usage: "{}".to_owned(),
        tokens: cost.tokens,
        cost: cost.money,
        reserved: cost.money,
        flags: "expired".to_owned(),
        ..CallRow::default()
    }
}

pub(in crate::gateway) fn owner(subject: &Subject) -> Owner {
    let part = |kind| subject.get(kind).unwrap_or_default().to_owned();
    Owner {
        organisation: part(Kind::Organisation),
        team: part(Kind::Team),
        project: part(Kind::Project),
        pipeline: part(Kind::Pipeline),
        run: part(Kind::Run),
        stage: part(Kind::Stage),
        endpoint: part(Kind::Endpoint),
    }
}

pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
