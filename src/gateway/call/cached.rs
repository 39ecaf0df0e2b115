//! Calls through the cache: answered from it, or kept when they come back. Of equal calls at the same
//! time one goes out.

pub mod meaning;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::http::HeaderValue;
use hyper::http::response::Parts as Head;
use hyper::{HeaderMap, Response, StatusCode};

use super::{Call, headers};
use crate::gateway::cache::Cache;
use crate::gateway::cache::keeper::{Expected, Keeper, StreamKeeper};
use crate::gateway::cache::kept::{Content, Kept};
use crate::gateway::cache::semantic::settings::Mode;
use crate::gateway::cache::settings::DEFAULT;
use crate::gateway::cache::wish::{Wish, key};
use crate::gateway::call::answer::Answer;
use crate::gateway::ledger::Origin;
use crate::gateway::route::Step;
use crate::model::Milliseconds;
use crate::provider::Operation;
use crate::provider::refusal::Refusal;

/// The longest name of a namespace, and of a version.
pub(super) const NAME_LETTERS: usize = 200;

/// What is done with a call.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cache: Arc<Cache>,
    pub(super) wish: Wish,
    /// Whose it is, the namespace, its version, and who answers.
    pub(super) scope: String,
    pub(super) ttl: Milliseconds,
    pub(super) expected: Expected,
}

impl Call {
    /// From the cache or over the ways that lead to the model.
    pub(super) async fn cached(&mut self) -> Result<Response<Answer>, Refusal> {
        let mut response = self.looked_up().await?;
        if let Some(similar) = &self.similar {
            headers::similar(&mut response, similar);
        }
        Ok(response)
    }

    async fn looked_up(&mut self) -> Result<Response<Answer>, Refusal> {
        let Some(plan) = self.plan().await? else { return self.live().await };
        if self.operation == Operation::Embeddings {
            return Box::pin(self.embedded(plan)).await;
        }
        let (body, cuts_usage) = self.final_body(plan.expected.model.as_deref(), None)?;
        let key = key(&[&plan.scope, &self.recorded(&body).key]);
        if plan.wish.reads
            && let Some(kept) = plan.cache.find(&key).await
        {
            return self.hit(&kept, &plan, cuts_usage);
        }
        let mut meaning = None;
        if plan.wish.reads {
            self.trail.cache("miss");
            meaning = Box::pin(self.meaning(&plan, &body)).await?;
        }
        if let Some(meaning) = &meaning
            && let Some((kept, found)) = Box::pin(self.similar(&plan, meaning)).await
        {
            self.notes_similar(&found, meaning.mode);
            if meaning.mode == Mode::Answer {
                return self.hit(&kept, &plan, cuts_usage);
            }
        }
        if !plan.wish.writes {
            return self.live().await;
        }
        let mut turn = None;
        if plan.wish.reads {
            turn = plan.cache.flights().join(&key, self.patience(&plan.cache)).await;
        }
        // Whoever went before may have brought it.
        if let (Some(_), Some(kept)) = (&turn, plan.cache.at_hand(&key)) {
            return self.hit(&kept, &plan, cuts_usage);
        }
        let meant = meaning.map(|it| self.meant(&plan, it));
        let Plan { cache, ttl, expected, .. } = plan;
        let trail = self.trail.clone();
        self.keeps(Keeper { cache, key, ttl, expected, turn, trail, meant });
        self.live().await
    }

    /// `None` when the cache has no part in this call.
    async fn plan(&self) -> Result<Option<Plan>, Refusal> {
        let Some(cache) = self.core.cache.clone() else { return Ok(None) };
        let word = header(&self.headers, "x-trunkline-cache")?;
        let wish = Wish::of(word, self.asked.is_repeatable).map_err(|it| {
            let words = "`off`, `read`, `write` or `on`";
            Refusal::Unreadable(format!("`x-trunkline-cache` is {words}, not `{it}`"))
        })?;
        let is_kept_elsewhere = self.cassette.is_some() || self.asked.has_server_state;
        if wish.is_nothing() || is_kept_elsewhere {
            return Ok(None);
        }
        let steps = self.steps(0);
        let Some(Step { way, model, .. }) = steps.first() else { return Ok(None) };
        let namespace = header(&self.headers, "x-trunkline-cache-namespace")?.unwrap_or(DEFAULT);
        let tenant = cache.settings().share.tenant(&self.subject, &self.key);
        let version = match header(&self.headers, "x-trunkline-cache-version")? {
            Some(version) => Some(format!("said {version}")),
            None => cache.version(&tenant, namespace).await.map(|it| format!("known {it}")),
        };
        let Some(version) = version else { return Ok(None) };
        let provider = self.core.known.get(way.provider).map_or("", |it| it.name.as_str());
        let mut scope = key(&["call", &tenant, namespace, &version, provider]);
        if let Some(query) = &self.query {
            scope = key(&[&scope, query]);
        }
        Ok(Some(Plan {
            scope,
            ttl: cache.settings().ttl(namespace),
            expected: Expected::new(*way, *model),
            wish,
            cache,
        }))
    }

    /// How long this call may wait for another one.
    pub(super) fn patience(&self, cache: &Cache) -> Duration {
        let left = Duration::from(self.core.limits.total_ms).saturating_sub(self.started.elapsed());
        Duration::from(cache.settings().wait_ms).min(left)
    }

    fn hit(&self, kept: &Kept, plan: &Plan, cuts_usage: bool) -> Result<Response<Answer>, Refusal> {
        self.trail.cache("hit");
        let model = plan.expected.model.as_deref();
        let settlement = self.free_settlement(Origin::Cache, model, 200);
        let mut told = self.told(Origin::Cache);
        let answer = match &kept.content {
            Content::Whole(body) => {
                self.replay_whole(settlement, StatusCode::OK, body, &mut told.flags)?
            }
            Content::Stream(pieces) => {
                let pieces = pieces.iter().map(|it| (0, it.clone())).collect();
                self.tape(pieces, cuts_usage, settlement)
            }
        };
        Ok(headers::kept(answer, &kept.content_type, &self.asked.model, &told))
    }

    fn keeps(&self, keeper: Keeper) {
        *self.keeping.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
    }

    /// Who keeps the answer of this step, if it is the one that was looked for.
    fn keeper(&self, step: &Step<'_>, head: &Head) -> Option<Keeper> {
        let keeper = self.keeping.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let came = Expected::new(step.way, step.model);
        (came == keeper.expected && head.status == StatusCode::OK).then_some(keeper)
    }

    /// An answer that a rule about content has stopped is given for no other question.
    pub(super) fn means_nothing(&self) {
        let mut keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = keeping.as_mut() {
            keeper.meant = None;
        }
    }

    /// An answer that is shorter than was asked for, as the budgets have no more, is given to nobody else.
    pub(super) fn keeps_nothing(&self) {
        drop(self.keeping.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Keeps a whole answer, if it is to be kept.
    pub(super) fn keep_whole(&self, step: &Step<'_>, head: &Head, body: &Bytes) {
        if let Some(keeper) = self.keeper(step, head).filter(|_| self.fits()) {
            keeper.keep_whole(self.operation, content_type(head), body);
        }
    }

    /// Who keeps a stream, if it is to be kept.
    pub(super) fn stream_keeper(&self, step: &Step<'_>, head: &Head) -> Option<StreamKeeper> {
        Some(self.keeper(step, head)?.stream(content_type(head)))
    }
}

/// A header with a name in it.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim);
    let text = text.filter(|it| !it.is_empty() && it.len() <= NAME_LETTERS);
    let wrong = || Refusal::Unreadable(format!("`{name}` is 1 to {NAME_LETTERS} letters"));
    text.map(Some).ok_or_else(wrong)
}

fn content_type(head: &Head) -> &str {
    let value = head.headers.get(hyper::header::CONTENT_TYPE);
    value.and_then(|it: &HeaderValue| it.to_str().ok()).unwrap_or("application/json")
}
