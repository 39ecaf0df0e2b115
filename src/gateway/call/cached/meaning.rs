//! Calls that may be answered with the answer to another question that means the same: the question is embedded by a call
//! of its own over the gateway's routes. Whatever goes wrong there is a miss.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{HeaderMap, Response, StatusCode};

use super::{Plan, header};
use crate::gateway::cache::keeper::Expected;
use crate::gateway::cache::kept::Kept;
use crate::gateway::cache::semantic::guards::Marks;
use crate::gateway::cache::semantic::question::Question;
use crate::gateway::cache::semantic::settings::{Mode, SemanticSettings};
use crate::gateway::cache::semantic::{Direction, Found, Known, Meant};
use crate::gateway::cache::settings::Share;
use crate::gateway::cache::wish::key;
use crate::gateway::call::admission::{Arrived, call_of};
use crate::gateway::call::answer::Answer;
use crate::gateway::call::{Call, headers};
use crate::gateway::keys::Key;
use crate::gateway::ledger::Similar;
use crate::gateway::settings::Limits;
use crate::provider::Operation;
use crate::provider::refusal::Refusal;

/// Near questions of which the answer is looked for; it may be gone.
const TRIED_AT_MOST: usize = 4;
/// What an embedding is called for with, of the call that it is for.
const HEADERS: [&str; 2] = ["traceparent", "x-trunkline-tags"];

/// What a question means, and what is done with it.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) mode: Mode,
    settings: SemanticSettings,
    scope: String,
    direction: Direction,
    marks: Marks,
}

impl Call {
    /// What the question of this call means; `None` when it is not compared, or its embedding does not come in time.
    pub(super) async fn meaning(
        &self,
        plan: &Plan,
        body: &[u8],
    ) -> Result<Option<Meaning>, Refusal> {
        let is_off = match header(&self.headers, "x-trunkline-cache-semantic")? {
            None | Some("on") => false,
            Some("off") => true,
            Some(other) => {
                let what = format!("`x-trunkline-cache-semantic` is `off` or `on`, not `{other}`");
                return Err(Refusal::Unreadable(what));
            }
        };
        let mut tables = plan.cache.settings().semantic.iter();
        let settings = tables.find(|it| it.is_for(&self.subject, &self.asked.model));
        // What guardrails have found something in is not compared.
        let Some(settings) = settings.filter(|_| !is_off && self.flags.is_empty()) else {
            return Ok(None);
        };
        let Some(question) = Question::read(self.operation, body) else { return Ok(None) };
        let Some(direction) = self.direction(settings, &question.text).await else {
            self.trail.cache("not embedded");
            return Ok(None);
        };
        let rest = self.recorded(question.rest.to_string().as_bytes()).key;
        // Never across teams, however widely equal calls are shared.
        let team = Share::Team.tenant(&self.subject, &self.key);
        let scope = key(&["meaning", &plan.scope, &team, &settings.embedding, &rest]);
        let (settings, marks) = (settings.clone(), Marks::of(&question.text));
        Ok(Some(Meaning { mode: settings.mode, settings, scope, direction, marks }))
    }

    /// The answer to a question that means the same.
    pub(super) async fn similar(
        &self,
        plan: &Plan,
        meaning: &Meaning,
    ) -> Option<(Arc<Kept>, Found)> {
        let question = (&meaning.direction, &meaning.marks);
        let least = meaning.settings.least();
        let now = self.core.clock.now();
        let found = plan.cache.index().find(&meaning.scope, question, least, now);
        for found in found.into_iter().take(TRIED_AT_MOST) {
            if let Some(kept) = plan.cache.find(&found.known.key).await {
                return Some((kept, found));
            }
        }
        None
    }

    /// Notes what was found, for the row, the trace and the client.
    pub(super) fn notes_similar(&mut self, found: &Found, mode: Mode) {
        let similar = Similar { likeness: found.likeness, to: found.known.request.clone() };
        let (flag, what) = match mode {
            Mode::Answer => ("semantic", "similar"),
            Mode::Report => ("semantic_report", "would be similar"),
        };
        self.trail.cache(&format!("{what} {} to {}", similar.likeness, similar.to));
        self.flags.push(flag);
        self.similar = Some(similar);
    }

    /// What the cache is to know of the question once its answer is kept.
    pub(super) fn meant(&self, plan: &Plan, meaning: Meaning) -> Meant {
        let Meaning { settings, scope, direction, marks, .. } = meaning;
        let own =
            settings.ttl_seconds.map(|it| crate::model::Milliseconds(it.saturating_mul(1000)));
        let ttl = own.map_or(plan.ttl, |it| it.min(plan.ttl));
        let until = self.core.clock.now().plus(ttl);
        let (key, request) = (String::new(), headers::request_id(self.id));
        let known = Known { direction, marks, key, request, until };
        Meant { scope, known, entries: settings.entries }
    }

    /// The direction of a text, by a call of its own.
    async fn direction(&self, settings: &SemanticSettings, text: &str) -> Option<Direction> {
        let spent = self.started.elapsed();
        let left = Duration::from(self.limits.total_ms).saturating_sub(spent);
        let patience = Duration::from(settings.timeout_ms).min(left);
        let call = self.embedding_call(settings, text).ok()?;
        let expected = call.steps(0).first().map(|it| Expected::new(it.way, it.model));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.core.tasks.spawn(async move {
            drop(sender.send(answered(call).await));
        });
        let response = tokio::time::timeout(patience, receiver).await.ok()?.ok()?;
        let came = response.extensions().get::<Expected>();
        // Another model's embeddings lie in a space of their own.
        let is_expected = came.is_none() || came == expected.as_ref();
        let answer = response.body().whole()?;
        (response.status() == StatusCode::OK && is_expected)
            .then(|| Direction::of_answer(answer))
            .flatten()
    }

    fn embedding_call(&self, settings: &SemanticSettings, text: &str) -> Result<Self, Refusal> {
        let core = &self.core;
        let body = serde_json::json!({"model": settings.embedding, "input": text});
        let mut headers = HeaderMap::new();
        for name in HEADERS {
            if let Some(value) = self.headers.get(name) {
                headers.insert(name, value.clone());
            }
        }
        let arrived = Arrived {
            id: core.new_id(),
            at: core.clock.now(),
            started: Instant::now(),
            operation: Operation::Embeddings,
            query: None,
            headers,
            body: Bytes::from(body.to_string()),
        };
        // The same payer, and none of the limits of its key: it was let through already.
        let key = Key { name: self.key.clone(), subject: self.subject.clone(), ..Key::default() };
        let mut call = call_of(core, &key, arrived)?;
        call.notes.clone_from(&self.notes);
        call.stop.clone_from(&self.stop);
        let limits = call.limits;
        let total_ms = limits.total_ms.min(settings.timeout_ms);
        call.limits = Limits { attempts: 1, first_token_ms: total_ms, total_ms, ..limits };
        Ok(call)
    }
}

/// A call within a call, whose type is not a part of itself.
fn answered(call: Call) -> Pin<Box<dyn Future<Output = Response<Answer>> + Send>> {
    Box::pin(Box::new(call).run())
}
