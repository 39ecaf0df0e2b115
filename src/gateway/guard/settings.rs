//! Rules about content: the tables `guardrail` of the gateway's file.

use serde::Deserialize;

use super::pii::Kind;
use crate::gateway::budget::scope::Scope;
use crate::gateway::prices::matcher::Matcher;
use crate::model::Milliseconds;

/// One rule.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guardrail {
    /// Its name: refusals say it.
    pub name: String,
    /// What it looks for.
    pub rule: RuleKind,
    /// Where it looks.
    #[serde(default)]
    pub way: Way,
    /// What it does.
    pub action: Action,
    /// Calls of these; all, when it is not there.
    #[serde(default)]
    pub scope: Scope,
    /// Calls with these keys.
    pub keys: Option<Vec<String>>,
    /// Calls of these models.
    pub models: Option<Matcher>,
    /// `pii`: what is looked for; all kinds, when it is not there.
    pub kinds: Option<Vec<Kind>>,
    /// `pii`, `topics`: whether what was taken out of the request is put back into the answer.
    #[serde(default)]
    pub restore: bool,
    /// `topics`: words and phrases.
    #[serde(default)]
    pub words: Vec<String>,
    /// `injection`: from which score on it counts, 0 to 1.
    pub threshold: Option<f64>,
    /// `injection`: who is asked besides.
    pub classifier: Option<Classifier>,
    /// `schema`: a file with the schema; that of the request, when it is not there.
    pub schema: Option<String>,
    /// `schema`: whether the model is asked once more for an answer that fits.
    #[serde(default)]
    pub repair: bool,
}

/// What a rule looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// What tells who somebody is, and keys.
    Pii,
    /// Words.
    Topics,
    /// Texts that want to give the model other orders.
    Injection,
    /// Answers that do not fit.
    Schema,
}

/// Where a rule looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In requests.
    In,
    /// In answers.
    Out,
    /// In both.
    #[default]
    Both,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    Off,
    /// It flags the call.
    Report,
    /// It puts placeholders in place of what it finds.
    Redact,
    /// It refuses the call.
    Block,
}

impl Way {
    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Both => "both",
        }
    }
}

impl Action {
    /// The word in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Report => "report",
            Self::Redact => "redact",
            Self::Block => "block",
        }
    }
}

/// Somebody who is asked whether a text is an attack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// Where to `POST` `{"text": …}`; the answer is `{"score": 0.0 to 1.0}`.
    pub url: String,
    /// How long it may take.
    #[serde(default = "classifier_ms")]
    pub timeout_ms: Milliseconds,
    /// What happens when it does not answer.
    pub on_failure: OnFailure,
}

fn classifier_ms() -> Milliseconds {
    Milliseconds(500)
}

/// What happens when a classifier does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The rules alone decide.
    Open,
    /// The rule counts as broken.
    Closed,
}

impl Guardrail {
    /// What makes no sense, if anything.
    pub fn check(&self) -> Result<(), &'static str> {
        let is = |it: RuleKind| self.rule == it;
        let finds_places = is(RuleKind::Pii) || is(RuleKind::Topics);
        let wrong = [
            (self.kinds.is_some() && !is(RuleKind::Pii), "`kinds` is for the rule `pii`"),
            (self.words.is_empty() == is(RuleKind::Topics), "the rule `topics` has `words`"),
            (self.restore && !finds_places, "`restore` is for the rules `pii` and `topics`"),
            (self.restore && self.way == Way::Out, "`restore` needs the way `in` or `both`"),
            (self.action == Action::Redact && !finds_places, "it finds nothing to `redact`"),
            (
                self.threshold.is_some() && !is(RuleKind::Injection),
                "`threshold` is for `injection`",
            ),
            (
                self.classifier.is_some() && !is(RuleKind::Injection),
                "`classifier` is for `injection`",
            ),
            (
                is(RuleKind::Injection) && self.way == Way::Out,
                "the rule `injection` is for the way `in`",
            ),
            (self.schema.is_some() && !is(RuleKind::Schema), "`schema` is for the rule `schema`"),
            (self.repair && !is(RuleKind::Schema), "`repair` is for the rule `schema`"),
            (is(RuleKind::Schema) && self.way == Way::In, "the rule `schema` is for the way `out`"),
            (self.threshold.is_some_and(|it| !(0.0..=1.0).contains(&it)), "`threshold` is 0 to 1"),
        ];
        wrong.into_iter().find(|it| it.0).map_or(Ok(()), |it| Err(it.1))
    }

    /// Whether it looks at requests.
    #[must_use]
    pub fn looks_in(&self) -> bool {
        self.way != Way::Out && self.rule != RuleKind::Schema
    }

    /// Whether it looks at answers.
    #[must_use]
    pub fn looks_out(&self) -> bool {
        self.way != Way::In && self.rule != RuleKind::Injection
    }
}
