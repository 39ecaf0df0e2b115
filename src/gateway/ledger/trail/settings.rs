//! How calls are traced: the table `traces` of the gateway's file.

use serde::Deserialize;

use crate::gateway::budget::scope::{Scope, Subject};

/// How calls are traced.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrailSettings {
    /// Calls a second that are traced; of those beyond, none is.
    pub per_second: u32,
    /// Spans a second that each key may send, on the average of ten seconds.
    pub spans_per_second: u32,
    /// Base address of the collector that a gateway without a server sends to.
    pub endpoint: Option<String>,
    /// The environment variable with headers for it: `name=value`, separated by commas.
    pub headers_variable: Option<String>,
    /// What is kept of prompts and answers, where no rule says.
    pub content: Keep,
    /// Bytes that are kept of a prompt, and of an answer.
    pub content_bytes: usize,
    /// What is kept for whom, the first that matches counting.
    #[serde(rename = "content_for")]
    pub rules: Vec<ContentRule>,
}

impl Default for TrailSettings {
    fn default() -> Self {
        Self {
            per_second: 1_000,
            spans_per_second: 1_000,
            endpoint: None,
            headers_variable: None,
            content: Keep::Off,
            content_bytes: 16 << 10,
            rules: Vec::new(),
        }
    }
}

/// What is kept of prompts and answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Nothing.
    #[default]
    Off,
    /// What they say, without secrets and what tells who somebody is.
    Redacted,
    /// What they say, without the secrets that the gateway knows.
    Full,
}

impl Keep {
    /// The word in files and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Redacted => "redacted",
            Self::Full => "full",
        }
    }
}

/// What is kept for some calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentRule {
    /// Which calls.
    #[serde(default)]
    pub scope: Scope,
    /// What is kept.
    pub content: Keep,
}

impl TrailSettings {
    /// What is kept of a call.
    #[must_use]
    pub fn keep_of(&self, subject: &Subject) -> Keep {
        let rule = self.rules.iter().find(|it| it.scope.account_of(subject).is_some());
        rule.map_or(self.content, |it| it.content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::budget::scope::Kind;

    #[test]
    fn the_first_rule_that_matches_says_what_is_kept() {
        let settings: TrailSettings = toml::from_str(
            "content = 'redacted'\n\
             [[content_for]]\nscope = { endpoint = 'search' }\ncontent = 'full'\n\
             [[content_for]]\nscope = { team = 'bank' }\ncontent = 'off'\n",
        )
        .unwrap();
        let of = |kind, name: &str| settings.keep_of(&Subject::default().with(kind, name));
        assert_eq!(of(Kind::Endpoint, "search"), Keep::Full);
        assert_eq!(of(Kind::Team, "bank"), Keep::Off);
        assert_eq!(of(Kind::Team, "shop"), Keep::Redacted);
        assert_eq!(TrailSettings::default().keep_of(&Subject::default()), Keep::Off);
    }
}
