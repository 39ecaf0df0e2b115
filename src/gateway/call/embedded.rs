//! Embeddings through the cache, text by text: only what is not known goes out.

use bytes::Bytes;
use hyper::header::CONTENT_LENGTH;
use hyper::{Response, StatusCode};

use super::cached::Plan;
use super::{Call, asked, headers};
use crate::gateway::cache::embedding::{self, Batch};
use crate::gateway::cache::keeper::Expected;
use crate::gateway::cache::kept::Kept;
use crate::gateway::cache::wish::key;
use crate::gateway::call::answer::Answer;
use crate::gateway::ledger::Origin;
use crate::provider::refusal::Refusal;

/// The texts of a call, and what is known of each.
struct Lookup {
    batch: Batch,
    keys: Vec<String>,
    found: Vec<Option<Kept>>,
}

impl Lookup {
    fn missing(&self) -> Vec<usize> {
        let missing = self.found.iter().enumerate().filter(|it| it.1.is_none());
        missing.map(|it| it.0).collect()
    }

    fn known_tokens(&self) -> u64 {
        self.found.iter().flatten().map(|it| it.tokens).fold(0, u64::saturating_add)
    }

    fn joined(&self, model: &str) -> Bytes {
        let found: Vec<_> = self.found.iter().flatten().collect();
        embedding::join(&found, model)
    }
}

impl Call {
    /// From the cache as far as its texts are there, and the rest from the provider.
    pub(super) async fn embedded(&mut self, plan: Plan) -> Result<Response<Answer>, Refusal> {
        let Some(mut lookup) = self.lookup(&plan) else { return self.live().await };
        if plan.wish.reads {
            let found = plan.cache.find_all(&lookup.keys).await;
            lookup.found = found.into_iter().map(|it| it.map(|it| Kept::clone(&it))).collect();
        }
        let mut turn = None;
        if plan.wish.reads && plan.wish.writes && !lookup.missing().is_empty() {
            let patience = self.patience(&plan.cache);
            turn = plan.cache.flights().join(&key_of_all(&lookup.keys), patience).await;
            for place in lookup.missing() {
                let kept = lookup.keys.get(place).and_then(|it| plan.cache.at_hand(it));
                if let (Some(kept), Some(slot)) = (kept, lookup.found.get_mut(place)) {
                    *slot = Some(Kept::clone(&kept));
                }
            }
        }
        let is_all = lookup.missing().is_empty();
        if plan.wish.reads {
            let is_none = lookup.found.iter().all(Option::is_none);
            self.trail.cache(if is_all {
                "hit"
            } else if is_none {
                "miss"
            } else {
                "part"
            });
        }
        if is_all {
            return self.all_known(&lookup, &plan);
        }
        let answer = self.ask_for_missing(&plan, lookup).await;
        drop(turn);
        answer
    }

    fn lookup(&self, plan: &Plan) -> Option<Lookup> {
        let batch = Batch::read(&self.body)?;
        let (mut rest, model) = (self.recorded(&batch.rest), plan.expected.model.as_deref());
        if let (Some(name), Some(members)) = (model, rest.body.as_object_mut()) {
            members.insert("model".to_owned(), name.into());
            let text = rest.body.to_string();
            rest = self.recorded(text.as_bytes());
        }
        let of_item = |it: &String| key(&[&plan.scope, "item", &rest.key, it]);
        let keys: Vec<_> = batch.items.iter().map(of_item).collect();
        let found = vec![None; keys.len()];
        Some(Lookup { batch, keys, found })
    }

    fn all_known(&self, lookup: &Lookup, plan: &Plan) -> Result<Response<Answer>, Refusal> {
        let model = plan.expected.model.as_deref();
        let settlement = self.free_settlement(Origin::Cache, model, 200);
        let body = lookup.joined(&self.asked.model);
        let mut told = self.told(Origin::Cache);
        let answer = self.replay_whole(settlement, StatusCode::OK, &body, &mut told.flags)?;
        Ok(headers::kept(answer, "application/json", &self.asked.model, &told))
    }

    async fn ask_for_missing(
        &mut self,
        plan: &Plan,
        mut lookup: Lookup,
    ) -> Result<Response<Answer>, Refusal> {
        let missing = lookup.missing();
        let (body, order) = lookup.batch.request_of(&missing).unwrap_or_default();
        let texts = Batch::read(&body).map(|it| it.items).unwrap_or_default();
        let is_whole = texts.len() == lookup.keys.len();
        let mut response = if is_whole {
            self.live().await?
        } else {
            self.known_tokens = lookup.known_tokens();
            self.live_with(body, &plan.expected).await?
        };
        let Answer::Full(Some(answer)) = response.body() else { return Ok(response) };
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        if !came_from(&response, &plan.expected) {
            // A fallback's embeddings lie in a space of their own: they are neither kept nor mixed.
            return Ok(response);
        }
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let Some(parts) = embedding::parts(answer, &texts) else {
            let what = "the provider's answer does not have one embedding for each text";
            return if is_whole { Ok(response) } else { Err(Refusal::Upstream(what.to_owned())) };
        };
        let mut kept = Vec::with_capacity(missing.len());
        for (place, at) in missing.iter().zip(order) {
            let (Some(part), Some(key)) = (parts.get(at), lookup.keys.get(*place)) else {
                continue;
            };
            kept.push((key.clone(), part.clone()));
            if let Some(slot) = lookup.found.get_mut(*place) {
                *slot = Some(part.clone());
            }
        }
        if plan.wish.writes {
            plan.cache.keep_all(kept, plan.ttl);
            self.trail.cache("kept");
        }
        if !is_whole {
            *response.body_mut() = Answer::full(lookup.joined(&self.asked.model));
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        Ok(response)
    }

    /// Asks for a part of the texts. When another provider or model than the one that gave the others
    /// answers, all are asked for, so that the client gets embeddings of one kind.
    async fn live_with(
        &mut self,
        body: Vec<u8>,
        expected: &Expected,
    ) -> Result<Response<Answer>, Refusal> {
        let part = asked(self.operation, &body)?;
        let whole = std::mem::replace(&mut self.asked, part);
        let whole_body = std::mem::replace(&mut self.body, Bytes::from(body));
        let response = self.live().await?;
        if came_from(&response, expected) || response.status() != StatusCode::OK {
            return Ok(response);
        }
        (self.asked, self.body, self.known_tokens) = (whole, whole_body, 0);
        self.live().await
    }
}

fn came_from(response: &Response<Answer>, expected: &Expected) -> bool {
    response.extensions().get::<Expected>() == Some(expected)
}

fn key_of_all(keys: &[String]) -> String {
    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
    key(&keys)
}
