//! Rules about content: what may go to a model, and what may come back. Texts are searched in requests,
//! answers and streams; what is found is flagged, replaced, or stops the call.

pub mod settings;
pub mod pii;
pub mod topics;
pub mod injection;
pub mod placeholders;
pub mod texts;
pub mod window;
pub mod stream;
pub mod schema;

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::budget::scope::{Scope, Subject};
use super::prices::matcher::Matcher;
use crate::model::trace::Finding;
use crate::provider::splice::Edits;
use injection::Injection;
use pii::{Finder, Kind};
use placeholders::Placeholders;
use schema::Schema;
pub use settings::Way;
use settings::{Action, Classifier, Guardrail, RuleKind};
use texts::{Form, Step};
use topics::Topics;

/// What is named as the rule where something cannot be looked at.
pub const UNREADABLE: &str = "unreadable";

/// All rules.
#[derive(Debug, Default)]
pub struct Guard {
    rules: Vec<Arc<Rule>>,
}

/// One rule, ready to be used.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it does.
    pub action: Action,
    looks_in: bool,
    looks_out: bool,
    restores: bool,
    scope: Scope,
    keys: Option<Vec<String>>,
    models: Option<Matcher>,
    check: Check,
}

/// What a rule looks for.
#[derive(Debug)]
pub enum Check {
    /// What tells who somebody is.
    Pii(Finder),
    /// Words.
    Topics(Topics),
    /// Other orders.
    Injection {
        /// Rules with scores.
        rules: Injection,
        /// From which score on.
        threshold: f64,
        /// Who is asked besides.
        classifier: Option<Classifier>,
    },
    /// Answers that do not fit.
    Schema {
        /// The schema; that of the request, when it is not there.
        schema: Option<Arc<Schema>>,
        /// Whether the model is asked again.
        repairs: bool,
    },
}

/// A rule has stopped a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Its name.
    pub rule: String,
}

/// Something that a rule has found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Where.
    pub range: Range<usize>,
    label: &'static str,
    flag: &'static str,
    rule: usize,
}

impl Guard {
    /// From the settings. `file` reads a schema.
    pub fn new(
        rules: &[Guardrail],
        file: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Self, String> {
        let ready = rules.iter().filter(|it| it.action != Action::Off);
        let ready =
            ready.map(|it| rule(it, file).map_err(|why| format!("guardrail `{}`: {why}", it.name)));
        let rules = ready.map(|it| it.map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// What looks at a call; nothing, when no rule is for it.
    #[must_use]
    pub fn screen(&self, key: &str, subject: &Subject, model: &str) -> Option<Screen> {
        let is_for = |it: &&Arc<Rule>| {
            it.scope.account_of(subject).is_some()
                && it.keys.as_ref().is_none_or(|keys| keys.iter().any(|it| it == key))
                && it.models.as_ref().is_none_or(|models| models.matches(model))
        };
        let rules: Vec<_> = self.rules.iter().filter(is_for).cloned().collect();
        if rules.is_empty() {
            return None;
        }
        let restores = rules.iter().any(|it| it.restores);
        let placeholders = Placeholders::new(restores);
        let lengths = rules.iter().map(|it| match &it.check {
            Check::Topics(topics) => topics.longest(),
            Check::Pii(_) | Check::Injection { .. } | Check::Schema { .. } => 1,
        });
        let words = lengths.max().unwrap_or(1);
        Some(Screen { rules, placeholders, flags: Vec::new(), findings: Vec::new(), words })
    }
}

fn rule(
    settings: &Guardrail,
    file: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Rule, String> {
    settings.check()?;
    let check = match settings.rule {
        RuleKind::Pii => Check::Pii(Finder::new(settings.kinds.as_deref().unwrap_or(&Kind::ALL))?),
        RuleKind::Topics => Check::Topics(Topics::new(&settings.words)?),
        RuleKind::Injection => Check::Injection {
            rules: Injection::new()?,
            threshold: settings.threshold.unwrap_or(injection::THRESHOLD),
            classifier: settings.classifier.clone(),
        },
        RuleKind::Schema => {
            let text = settings.schema.as_deref().map(file).transpose()?;
            let schema = text.map(|it| Schema::read(&it)).transpose()?.map(Arc::new);
            Check::Schema { schema, repairs: settings.repair }
        }
    };
    Ok(Rule {
        name: settings.name.clone(),
        action: settings.action,
        looks_in: settings.looks_in(),
        looks_out: settings.looks_out(),
        restores: settings.restore && settings.action == Action::Redact,
        scope: settings.scope.clone(),
        keys: settings.keys.clone(),
        models: settings.models.clone(),
        check,
    })
}

/// The rules of one call, and what they have found in it.
#[derive(Debug)]
pub struct Screen {
    rules: Vec<Arc<Rule>>,
    placeholders: Placeholders,
    flags: Vec<&'static str>,
    findings: Vec<Finding>,
    words: usize,
}

impl Screen {
    /// What was found so far.
    #[must_use]
    pub fn flags(&self) -> &[&'static str] {
        &self.flags
    }

    /// Notes a finding.
    pub fn flag(&mut self, flag: &'static str) {
        if !self.flags.contains(&flag) {
            self.flags.push(flag);
        }
    }

    /// Notes what a rule has found, for people: never the text.
    pub fn find(&mut self, rule: &Rule, what: &str, way: Way) {
        let known = self.findings.iter_mut();
        let mut known = known.filter(|it| it.rule == rule.name && it.what == what);
        if let Some(finding) = known.find(|it| it.way == way.as_str()) {
            finding.count = finding.count.saturating_add(1);
            return;
        }
        self.findings.push(Finding {
            rule: rule.name.clone(),
            what: what.to_owned(),
            action: rule.action.as_str().to_owned(),
            way: way.as_str().to_owned(),
            count: 1,
        });
    }

    /// What was noted since the last time.
    #[must_use]
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Words of the longest phrase that is looked for.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Whether answers are looked at.
    #[must_use]
    pub fn looks_out(&self) -> bool {
        self.placeholders.restores() || self.rules.iter().any(|it| it.looks_out)
    }

    /// Whether answers may change on their way.
    #[must_use]
    pub fn changes_answers(&self) -> bool {
        let changes = |it: &Arc<Rule>| it.looks_out && it.action != Action::Report;
        self.placeholders.restores() || self.rules.iter().any(changes)
    }

    /// Whether an answer that cannot be read may not pass: a rule might have stopped or changed it.
    #[must_use]
    pub fn must_read_answers(&self) -> bool {
        self.rules.iter().any(|it| it.looks_out && it.action != Action::Report)
    }

    /// Looks at a request. Gives it with placeholders, if it changes.
    pub fn request(&mut self, body: &str) -> Result<Option<Vec<u8>>, Stopped> {
        let changed = self.changed(Way::In, body, texts::of_request)?;
        self.placeholders.close_request();
        Ok(changed)
    }

    /// Looks at a whole answer. Gives it with placeholders, or with what they stood for, if it changes.
    pub fn answer(&mut self, body: &str) -> Result<Option<Vec<u8>>, Stopped> {
        if !self.looks_out() {
            return Ok(None);
        }
        let mut plain = None;
        if self.changes_answers() && body.contains("\"logprobs\"") {
            plain = without_logprobs(body);
        }
        let changed = self.changed(Way::Out, plain.as_deref().unwrap_or(body), texts::of_answer)?;
        Ok(changed.or(plain.map(String::into_bytes)))
    }

    fn changed(
        &mut self,
        way: Way,
        body: &str,
        form: fn(&[Step<'_>]) -> Option<Form>,
    ) -> Result<Option<Vec<u8>>, Stopped> {
        let mut places = Vec::new();
        let visited = texts::strings(body, |path, range| {
            if let Some(form) = form(path) {
                places.push((range, form));
            }
        });
        // What cannot be looked at is not let through by a rule that would stop or change it.
        if visited.is_err() {
            return Err(self.stopped(UNREADABLE, "the JSON goes too deep"));
        }
        let mut edits = Edits::default();
        for (range, form) in places {
            let part = body.get(range).unwrap_or_default();
            let Some(text) = texts::decode(part) else { continue };
            if form == Form::Document && texts::is_file(&text) {
                continue;
            }
            let hits = self.hits(way, &text);
            let new = self.replaced_in(way, &text, 0..text.len(), (&hits, form, body))?;
            if new != text {
                edits.replace(body.as_bytes(), part, texts::encode(&new));
            }
        }
        Ok(edits.apply(body.as_bytes()))
    }

    /// What rules find in a text.
    #[must_use]
    pub fn hits(&self, way: Way, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (index, rule) in self.rules.iter().enumerate().filter(|it| it.1.looks(way)) {
            match &rule.check {
                Check::Pii(finder) => hits.extend(finder.find(text).into_iter().map(|it| Hit {
                    range: it.range,
                    label: it.kind.label(),
                    flag: it.kind.flag(),
                    rule: index,
                })),
                Check::Topics(topics) => hits.extend(topics.find(text).map(|range| Hit {
                    range,
                    label: "TOPIC",
                    flag: "topic",
                    rule: index,
                })),
                Check::Injection { .. } | Check::Schema { .. } => {}
            }
        }
        hits.sort_by_key(|it| (it.range.start, it.range.end));
        hits
    }

    /// A part of a text, with placeholders for what was found in it.
    pub fn replaced(
        &mut self,
        way: Way,
        text: &str,
        part: Range<usize>,
        (hits, form): (&[Hit], Form),
    ) -> Result<String, Stopped> {
        self.replaced_in(way, text, part, (hits, form, ""))
    }

    fn replaced_in(
        &mut self,
        way: Way,
        text: &str,
        part: Range<usize>,
        (hits, form, body): (&[Hit], Form, &str),
    ) -> Result<String, Stopped> {
        let (mut out, mut at) = (String::new(), part.start);
        for hit in hits.iter().filter(|it| it.range.end > part.start && it.range.end <= part.end) {
            self.flag(hit.flag);
            let Some(rule) = self.rules.get(hit.rule).cloned() else { continue };
            self.find(&rule, hit.flag, way);
            match rule.action {
                Action::Off | Action::Report => continue,
                Action::Block => return Err(self.stopped(&rule.name, hit.flag)),
                Action::Redact => self.flag("redacted"),
            }
            if hit.range.end <= at {
                continue;
            }
            let start = beyond_escape(text, hit.range.start, form).max(at);
            out.push_str(text.get(at..start).unwrap_or_default());
            let found = text.get(hit.range.start.max(part.start).max(start)..hit.range.end);
            out.push_str(&self.placeholders.put(hit.label, found.unwrap_or_default(), body));
            at = hit.range.end;
        }
        out.push_str(text.get(at..part.end).unwrap_or_default());
        if way == Way::Out && self.placeholders.restores() {
            return Ok(self.placeholders.restored(&out, form == Form::Json));
        }
        Ok(out)
    }

    /// A rule stops the call.
    pub fn stopped(&mut self, rule: &str, why: &str) -> Stopped {
        tracing::debug!(rule, why, "a guardrail has stopped a call");
        self.flag("blocked");
        Stopped { rule: rule.to_owned() }
    }
}

impl Rule {
    /// Whether it looks at requests, or at answers.
    #[must_use]
    pub fn looks(&self, way: Way) -> bool {
        match way {
            Way::In => self.looks_in,
            Way::Out => self.looks_out,
            Way::Both => self.looks_in || self.looks_out,
        }
    }

    /// What it looks for.
    #[must_use]
    pub fn check(&self) -> &Check {
        &self.check
    }
}

/// In JSON inside of a text, a letter behind a backslash belongs to the backslash.
fn beyond_escape(text: &str, start: usize, form: Form) -> usize {
    let before = text.get(..start).unwrap_or_default();
    let slashes = before.len() - before.trim_end_matches('\\').len();
    if form != Form::Json || slashes % 2 == 0 {
        return start;
    }
    let is_code = text.get(start..).unwrap_or_default().starts_with('u');
    text.ceil_char_boundary(start + if is_code { 5 } else { 1 })
}

/// Without the probabilities of tokens, which would show what was replaced; `None` when there are none.
fn without_logprobs(json: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(json).ok()?;
    blank_logprobs(&mut value).then(|| value.to_string())
}

fn blank_logprobs(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |any, it| blank_logprobs(it) | any),
        Value::Object(members) => members.iter_mut().fold(false, |any, (name, value)| {
            if name != "logprobs" {
                return blank_logprobs(value) | any;
            }
            let says_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            *value = if value.is_array() { Value::Array(Vec::new()) } else { Value::Null };
            any || !says_nothing
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests;
