//! Errors of the gateway itself in the client's wire format, as a whole answer and inside a stream.
//! The official clients try again after 408, 409, 429 and 5xx, unless `x-should-retry` says no.

use super::Dialect;
use crate::model::Milliseconds;

/// Where the gateway has its ledger, its keys and its queue, as [`Refusal::Away`] names it.
pub const STORE: &str = "the store of the gateway";

/// Why the gateway does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No key, or one that is not known or has expired.
    Unauthorized,
    /// The key may not do this.
    Forbidden(String),
    /// A path or model that leads nowhere.
    NotFound(String),
    /// A body that cannot be metered.
    Unreadable(String),
    /// A body beyond the limit.
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A budget is used up, or this call does not fit into what is left of it.
    Budget {
        /// The budget.
        budget: String,
        /// What is known: used, limit, and when it frees.
        message: String,
    },
    /// Too many calls.
    Rate {
        /// When to come again.
        retry_after: Milliseconds,
        /// The limit, in calls a minute.
        limit: u64,
    },
    /// More waits already than may.
    Full {
        /// When to come again.
        retry_after: Milliseconds,
        /// What is full, and how much it holds.
        message: String,
    },
    /// A rule about content.
    Guardrail {
        /// The rule.
        rule: String,
    },
    /// No such call was recorded.
    CassetteMiss {
        /// The nearest recorded call and how it differs.
        message: String,
    },
    /// The provider cannot be reached, or its answer is broken.
    Upstream(String),
    /// The provider has done its work, and its answer is beyond the limit: it would be the next time, too.
    AnswerTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// All ways to the model are closed for now.
    Unavailable {
        /// When to come again.
        retry_after: Milliseconds,
    },
    /// What the gateway itself needs does not answer: no fault of a provider.
    Away {
        /// What it needs.
        what: &'static str,
        /// When to come again.
        retry_after: Milliseconds,
    },
    /// A report of use is not charged yet, as far as is known.
    Unreported {
        /// When to come again.
        retry_after: Milliseconds,
    },
    /// The provider took too long.
    Timeout(String),
}

/// An answer: status, headers besides the content type, and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// How the two formats name one kind of error.
struct Words {
    status: u16,
    openai_type: &'static str,
    openai_code: &'static str,
    anthropic_type: &'static str,
}

impl Refusal {
    /// As a whole answer.
    #[must_use]
    pub fn reply(&self, dialect: Dialect) -> Reply {
        let mut headers = vec![("x-trunkline-origin", "gateway".to_owned())];
        if !self.may_be_tried_again() {
            headers.push(("x-should-retry", "false".to_owned()));
        }
        if let Self::Rate { retry_after, .. }
        | Self::Full { retry_after, .. }
        | Self::Unavailable { retry_after }
        | Self::Away { retry_after, .. }
        | Self::Unreported { retry_after } = self
        {
            headers.push(("retry-after", retry_after.0.div_ceil(1000).max(1).to_string()));
            headers.push(("retry-after-ms", retry_after.0.max(1).to_string()));
        }
        if let Self::Rate { limit, retry_after } = self {
            headers.push(("x-ratelimit-limit-requests", limit.to_string()));
            headers.push(("x-ratelimit-remaining-requests", "0".to_owned()));
            headers.push(("x-ratelimit-reset-requests", format!("{}ms", retry_after.0)));
        }
        Reply { status: self.words().status, headers, body: self.json(dialect) }
    }

    /// As the last event of a stream that has begun.
    #[must_use]
    pub fn event(&self, dialect: Dialect) -> String {
        let json = self.json(dialect);
        match dialect {
            Dialect::OpenAi => format!("data: {json}\n\n"),
            Dialect::Anthropic => format!("event: error\ndata: {json}\n\n"),
        }
    }

    fn json(&self, dialect: Dialect) -> String {
        let (words, message) = (self.words(), self.message());
        let json = match dialect {
            Dialect::OpenAi => serde_json::json!({"error": {
                "message": message,
                "type": words.openai_type,
                "code": words.openai_code,
                "param": self.param(),
            }}),
            Dialect::Anthropic => serde_json::json!({
                "type": "error",
                "error": {"type": words.anthropic_type, "message": message},
            }),
        };
        json.to_string()
    }

    fn may_be_tried_again(&self) -> bool {
        matches!(
            self,
            Self::Rate { .. }
                | Self::Full { .. }
                | Self::Upstream(_)
                | Self::Unavailable { .. }
                | Self::Away { .. }
                | Self::Unreported { .. }
                | Self::Timeout(_)
        )
    }

    fn param(&self) -> Option<&str> {
        match self {
            Self::Budget { budget, .. } => Some(budget),
            Self::Guardrail { rule } => Some(rule),
            Self::Unauthorized
            | Self::Forbidden(_)
            | Self::NotFound(_)
            | Self::Unreadable(_)
            | Self::TooLarge { .. }
            | Self::Rate { .. }
            | Self::Full { .. }
            | Self::CassetteMiss { .. }
            | Self::Upstream(_)
            | Self::AnswerTooLarge { .. }
            | Self::Unavailable { .. }
            | Self::Away { .. }
            | Self::Unreported { .. }
            | Self::Timeout(_) => None,
        }
    }

    /// What it is, in one word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.words().openai_code
    }

    /// What is known, in a sentence.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Unauthorized => "the key is missing, unknown or expired".to_owned(),
            Self::Forbidden(what)
            | Self::NotFound(what)
            | Self::Unreadable(what)
            | Self::Upstream(what)
            | Self::Timeout(what) => what.clone(),
            Self::TooLarge { limit_bytes } => {
                format!("the body is larger than {limit_bytes} bytes")
            }
            Self::AnswerTooLarge { limit_bytes } => format!(
                "the answer of the provider is larger than {limit_bytes} bytes; `answer_bytes` allows no more"
            ),
            Self::Budget { message, .. }
            | Self::Full { message, .. }
            | Self::CassetteMiss { message } => message.clone(),
            Self::Rate { limit, retry_after } => {
                format!("more than {limit} calls a minute; free in {} ms", retry_after.0)
            }
            Self::Guardrail { rule } => format!("stopped by the guardrail `{rule}`"),
            Self::Unavailable { retry_after } => {
                format!("no provider of the model answers; tried again in {} ms", retry_after.0)
            }
            Self::Away { what, retry_after } => format!(
                "{what} does not answer, and nothing goes out without it; send it again in {} ms. The gateway's log says why",
                retry_after.0
            ),
            Self::Unreported { retry_after } => format!(
                "what is reported is not charged yet, as far as is known; send it again in {} ms with the same `id`: it is \
                 not counted twice",
                retry_after.0
            ),
        }
    }

    fn words(&self) -> Words {
        let (status, openai_type, openai_code, anthropic_type) = match self {
            Self::Unauthorized => {
                (401, "invalid_request_error", "invalid_api_key", "authentication_error")
            }
            Self::Forbidden(_) => (403, "invalid_request_error", "forbidden", "permission_error"),
            Self::NotFound(_) => (404, "invalid_request_error", "not_found", "not_found_error"),
            Self::Unreadable(_) => {
                (400, "invalid_request_error", "unreadable", "invalid_request_error")
            }
            Self::TooLarge { .. } => {
                (413, "invalid_request_error", "request_too_large", "request_too_large")
            }
            Self::Budget { .. } => (402, "insufficient_quota", "budget_exceeded", "billing_error"),
            Self::Rate { .. } => (429, "requests", "rate_limit_exceeded", "rate_limit_error"),
            Self::Full { .. } => (429, "requests", "queue_full", "rate_limit_error"),
            Self::Guardrail { .. } => {
                (422, "invalid_request_error", "guardrail", "invalid_request_error")
            }
            Self::CassetteMiss { .. } => {
                (424, "invalid_request_error", "cassette_miss", "invalid_request_error")
            }
            Self::Upstream(_) | Self::AnswerTooLarge { .. } => {
                (502, "server_error", "upstream_failed", "api_error")
            }
            Self::Unavailable { .. } | Self::Unreported { .. } => {
                (503, "server_error", "unavailable", "overloaded_error")
            }
            Self::Away { .. } => (503, "server_error", "store_unavailable", "overloaded_error"),
            Self::Timeout(_) => (504, "server_error", "upstream_timeout", "timeout_error"),
        };
        Words { status, openai_type, openai_code, anthropic_type }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: &Refusal, dialect: Dialect) -> String {
        let Reply { status, headers, body } = refusal.reply(dialect);
        let headers: String = headers.iter().map(|it| format!("{}: {}\n", it.0, it.1)).collect();
        format!("{status}\n{headers}\n{body}\n\n{}", refusal.event(dialect).trim_end())
    }

    fn budget() -> Refusal {
        let message = "the budget `team core` has 0.02 USD of 5.00 USD left".to_owned();
        Refusal::Budget { budget: "team core".to_owned(), message }
    }

    #[test]
    fn a_budget_is_refused_for_good_in_the_clients_own_words() {
        insta::assert_snapshot!(check(&budget(), Dialect::OpenAi), @r#"
        402
        x-trunkline-origin: gateway
        x-should-retry: false

        {"error":{"code":"budget_exceeded","message":"the budget `team core` has 0.02 USD of 5.00 USD left","param":"team core","type":"insufficient_quota"}}

        data: {"error":{"code":"budget_exceeded","message":"the budget `team core` has 0.02 USD of 5.00 USD left","param":"team core","type":"insufficient_quota"}}
        "#);
        insta::assert_snapshot!(check(&budget(), Dialect::Anthropic), @r#"
        402
        x-trunkline-origin: gateway
        x-should-retry: false

        {"error":{"message":"the budget `team core` has 0.02 USD of 5.00 USD left","type":"billing_error"},"type":"error"}

        event: error
        data: {"error":{"message":"the budget `team core` has 0.02 USD of 5.00 USD left","type":"billing_error"},"type":"error"}
        "#);
    }

    #[test]
    fn a_rate_says_when_to_come_again() {
        let rate = Refusal::Rate { retry_after: Milliseconds(1200), limit: 60 };
        insta::assert_snapshot!(check(&rate, Dialect::OpenAi), @r#"
        429
        x-trunkline-origin: gateway
        retry-after: 2
        retry-after-ms: 1200
        x-ratelimit-limit-requests: 60
        x-ratelimit-remaining-requests: 0
        x-ratelimit-reset-requests: 1200ms

        {"error":{"code":"rate_limit_exceeded","message":"more than 60 calls a minute; free in 1200 ms","param":null,"type":"requests"}}

        data: {"error":{"code":"rate_limit_exceeded","message":"more than 60 calls a minute; free in 1200 ms","param":null,"type":"requests"}}
        "#);
    }

    #[test]
    fn a_store_that_is_away_is_no_provider_that_does_not_answer() {
        let away = Refusal::Away { what: STORE, retry_after: Milliseconds(1000) };
        insta::assert_snapshot!(check(&away, Dialect::OpenAi), @r#"
        503
        x-trunkline-origin: gateway
        retry-after: 1
        retry-after-ms: 1000

        {"error":{"code":"store_unavailable","message":"the store of the gateway does not answer, and nothing goes out without it; send it again in 1000 ms. The gateway's log says why","param":null,"type":"server_error"}}

        data: {"error":{"code":"store_unavailable","message":"the store of the gateway does not answer, and nothing goes out without it; send it again in 1000 ms. The gateway's log says why","param":null,"type":"server_error"}}
        "#);
        assert_eq!(away.reply(Dialect::Anthropic).status, 503);
    }

    #[test]
    fn a_guardrail_and_a_missing_recording_have_their_own_statuses() {
        let guardrail = Refusal::Guardrail { rule: "no-pii".to_owned() };
        let miss = Refusal::CassetteMiss { message: "not recorded".to_owned() };
        assert_eq!(guardrail.reply(Dialect::OpenAi).status, 422);
        assert_eq!(miss.reply(Dialect::Anthropic).status, 424);
        for refusal in [guardrail, miss] {
            let reply = refusal.reply(Dialect::OpenAi);
            assert!(reply.headers.contains(&("x-should-retry", "false".to_owned())));
        }
    }
}
