//! A call under the rules about content: its request before anything else, its answer before the client
//! sees it, and one more try where an answer does not fit its schema.

use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::Response;
use hyper::header::HeaderValue;
use serde_json::Value;

use super::answer::Answer;
use super::{Call, asked, classifier};
use crate::gateway::guard::schema::{self, Schema};
use crate::gateway::guard::settings::{Action, OnFailure};
use crate::gateway::guard::stream::{Filter, Judge};
use crate::gateway::guard::{Check, Rule, Screen, Stopped, UNREADABLE, Way, injection};
use crate::gateway::ledger::Row;
use crate::model::trace::Finding;
use crate::provider::refusal::Refusal;

/// Who is named as the provider of what was stopped here.
const PROVIDER: &str = "guardrail";

/// An answer that does not fit its schema.
#[derive(Debug)]
pub struct Violation {
    rule: Arc<Rule>,
    answer: String,
    wrong: String,
}

impl Call {
    /// Looks at the request. What goes on is the request with placeholders.
    pub(in crate::gateway) async fn guard_request(&mut self) -> Result<(), Refusal> {
        let screen = self.core.guard.screen(&self.key, &self.subject, &self.asked.model);
        let Some(mut screen) = screen else { return Ok(()) };
        let text = std::str::from_utf8(&self.body);
        let text = text.map_err(|it| Refusal::Unreadable(it.to_string()))?.to_owned();
        let attacks = Box::pin(self.look_for_attacks(&mut screen, &text));
        let mut looked = attacks.await.map(|()| None);
        if looked.is_ok() {
            looked = screen.request(&text);
        }
        self.flags = screen.flags().to_vec();
        *self.screen() = Some(screen);
        match looked {
            Ok(None) => Ok(()),
            Ok(Some(body)) => {
                self.asked = asked(self.operation, &body)?;
                self.body = Bytes::from(body);
                Ok(())
            }
            Err(Stopped { rule }) => {
                let row = self.row(PROVIDER, &self.asked.model, 1, &self.flags);
                self.core.ledger.record(&Row { status: Some(422), ..row });
                Err(Refusal::Guardrail { rule })
            }
        }
    }

    async fn look_for_attacks(&self, screen: &mut Screen, body: &str) -> Result<(), Stopped> {
        for rule in screen.rules().to_vec() {
            let Check::Injection { rules, threshold, classifier } = rule.check() else { continue };
            let request: Value = serde_json::from_str(body).unwrap_or_default();
            let texts = injection::untrusted(&request);
            let mut score = texts.iter().map(|it| rules.score(it)).fold(0.0, f64::max);
            let mut has_failed = false;
            if let Some(classifier) = classifier.as_ref().filter(|_| score < *threshold) {
                let asked =
                    classifier::ask(&self.core.upstream, classifier, &texts.join("\n")).await;
                has_failed = asked.is_none();
                if has_failed {
                    screen.flag("classifier_failed");
                }
                has_failed &= classifier.on_failure == OnFailure::Closed;
                score = score.max(asked.unwrap_or(0.0));
            }
            if score >= *threshold {
                screen.flag("injection");
                screen.find(&rule, "injection", Way::In);
            }
            if rule.action == Action::Block && (has_failed || score >= *threshold) {
                return Err(screen.stopped(&rule.name, "injection"));
            }
        }
        Ok(())
    }

    /// A whole answer as the client may have it. What was found is noted.
    pub(super) fn screened(
        &self,
        body: &Bytes,
        flags: &mut Vec<&'static str>,
    ) -> Result<Bytes, Refusal> {
        let mut slot = self.screen();
        let Some(screen) = slot.as_mut().filter(|it| it.looks_out()) else {
            return Ok(body.clone());
        };
        let read = std::str::from_utf8(body).ok();
        let read = read.and_then(|it| Some((it, serde_json::from_str::<Value>(it).ok()?)));
        let looked = match read {
            Some((text, value)) => {
                let looked = screen.answer(text);
                self.hold_against_schemas(screen, &value);
                looked
            }
            None if screen.must_read_answers() && !body.trim_ascii().is_empty() => {
                Err(screen.stopped(UNREADABLE, "it is no JSON"))
            }
            None => Ok(None),
        };
        for flag in screen.flags() {
            if !flags.contains(flag) {
                flags.push(flag);
            }
        }
        match looked {
            Ok(None) => Ok(body.clone()),
            Ok(Some(changed)) => Ok(Bytes::from(changed)),
            Err(Stopped { rule }) => Err(Refusal::Guardrail { rule }),
        }
    }

    /// A whole answer of which nobody waits for a second try.
    pub(in crate::gateway) fn screened_later(
        &self,
        body: &Bytes,
        flags: &mut Vec<&'static str>,
    ) -> Result<Bytes, Refusal> {
        let screened = self.screened(body, flags)?;
        match self.violation().take() {
            Some(it) if it.rule.action == Action::Block => {
                Err(Refusal::Guardrail { rule: it.rule.name.clone() })
            }
            Some(_) | None => Ok(screened),
        }
    }

    fn hold_against_schemas(&self, screen: &mut Screen, answer: &Value) {
        for (rule, schema) in self.schemas(screen) {
            for text in schema::texts_of(self.operation, answer) {
                if let Err(wrong) = schema.check(&text) {
                    screen.flag("schema");
                    screen.find(&rule, "schema", Way::Out);
                    *self.violation() = Some(Violation { rule: rule.clone(), answer: text, wrong });
                }
            }
        }
    }

    /// The schemas that answers are held against, each with its rule.
    fn schemas(&self, screen: &Screen) -> Vec<(Arc<Rule>, Arc<Schema>)> {
        let mut found = Vec::new();
        for rule in screen.rules().iter().filter(|it| it.looks(Way::Out)) {
            let Check::Schema { schema, .. } = rule.check() else { continue };
            let schema = schema.clone().or_else(|| {
                let request: Value = serde_json::from_slice(&self.body).ok()?;
                schema::of_request(&request)
            });
            found.extend(schema.map(|it| (rule.clone(), it)));
        }
        found
    }

    /// What looks at a stream, if anything does.
    pub(super) fn filter(&self) -> Option<Filter> {
        let mut slot = self.screen();
        let screen = slot.take_if(|it| it.looks_out())?;
        let schemas = self.schemas(&screen);
        let judges = schemas.into_iter().map(|(rule, schema)| Judge { rule, schema });
        Some(Filter::new(self.operation, screen, judges.collect()))
    }

    /// Asks once more where an answer did not fit, and refuses it where it must.
    pub(super) async fn mended(
        &mut self,
        result: Result<Response<Answer>, Refusal>,
    ) -> Result<Response<Answer>, Refusal> {
        let Some(violation) = self.violation().take() else { return result };
        let result = match self.ask_again(&violation) {
            Some(body) if result.is_ok() => {
                self.asked = asked(self.operation, &body)?;
                self.body = body;
                self.flags.push("repair");
                let again = Box::pin(self.live()).await;
                if again.is_ok() && self.violation().take().is_none() {
                    return again;
                }
                if again.is_ok() { again } else { result }
            }
            _ => result,
        };
        let rule = &violation.rule;
        match rule.action {
            Action::Block => Err(Refusal::Guardrail { rule: rule.name.clone() }),
            Action::Off | Action::Report | Action::Redact => result,
        }
    }

    fn ask_again(&self, violation: &Violation) -> Option<Bytes> {
        let Check::Schema { repairs: true, .. } = violation.rule.check() else { return None };
        let request = std::str::from_utf8(&self.body).ok()?;
        let Violation { answer, wrong, .. } = violation;
        schema::repair(self.operation, request, answer, wrong).map(Bytes::from)
    }

    /// Whether the answer fits, as far as it was looked at.
    pub(super) fn fits(&self) -> bool {
        self.violation().is_none()
    }

    /// Says in a refusal what was found.
    pub(super) fn tell_flags(&self, response: &mut Response<Answer>) {
        let slot = self.screen();
        let flags = slot.as_ref().map_or(self.flags.as_slice(), Screen::flags);
        if let Ok(value) = HeaderValue::from_str(&flags.join(","))
            && !flags.is_empty()
        {
            response.headers_mut().insert("x-trunkline-flags", value);
        }
    }

    /// What guardrails have noted since the last time.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.screen().as_mut().map(Screen::take_findings).unwrap_or_default()
    }

    fn screen(&self) -> MutexGuard<'_, Option<Screen>> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn violation(&self) -> MutexGuard<'_, Option<Violation>> {
        self.violation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
