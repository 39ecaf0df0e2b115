//! Reports in the header of a request, which clients send again when they try again. A report without an id gets one here
//! from what says that a request is the same: a name that its client gave it, or that it is a retry of the same body.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::http::request::Parts;
use sha2::{Digest as _, Sha256};

use super::charge::{digest, silent};
use super::{Origin, Priced, charge, header, lock, priced};
use crate::gateway::call::headers::request_id;
use crate::gateway::keys::{Key, hex};
use crate::gateway::server::Core;
use crate::model::{Milliseconds, UsdNanos};
use crate::provider::refusal::Refusal;
use crate::store::spend::requests::usage::FirstTry;

/// Names that a client gives one request and all retries of it.
const NAMES: [&str; 2] = ["idempotency-key", "x-client-request-id"];
/// How often the SDKs of `OpenAI` and Anthropic have sent a request before.
const RETRIES: &str = "x-stainless-retry-count";
/// How long after its first try a retry is known as one: longer than the SDKs go on by themselves.
const KNOWN_FOR: Milliseconds = Milliseconds::from_seconds(3600);

/// What a request says of being one that was sent before.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hint {
    /// Its name.
    Name(String),
    /// It is the first try, or another.
    Try { is_first: bool },
    /// Nothing.
    None,
}

/// Reports of a header that are to be charged.
pub(in crate::gateway) struct Reported {
    all: Vec<Priced>,
    hint: Hint,
}

/// The reports in the header of a request, with their prices; none where there is no such header.
pub(in crate::gateway) fn of_header(
    core: &Core,
    head: &Parts,
) -> Result<Option<Reported>, Refusal> {
    let reports = header::read(&head.headers).map_err(Refusal::Unreadable)?;
    if reports.is_empty() {
        return Ok(None);
    }
    let at = core.clock.now();
    let all: Result<Vec<_>, _> = reports.into_iter().map(|it| priced(core, it, at)).collect();
    let all = all?;
    let hint =
        if all.iter().all(|it| it.report.id.is_some()) { Hint::None } else { hint(&head.headers) };
    Ok(Some(Reported { all, hint }))
}

fn hint(headers: &HeaderMap) -> Hint {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let name = NAMES.iter().find_map(|name| Some(format!("{name}: {}", text(name)?)));
    match (name, text(RETRIES).and_then(|it| it.parse::<u32>().ok())) {
        (Some(name), _) => Hint::Name(name),
        (None, Some(count)) => Hint::Try { is_first: count == 0 },
        (None, None) => Hint::None,
    }
}

/// What the reports of a request come to.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Sum {
    /// Of all of them.
    pub(in crate::gateway) cost: UsdNanos,
    /// How many were charged before, and not again.
    pub(in crate::gateway) replayed: usize,
}

impl Reported {
    /// Whether only the body tells whether it was sent before.
    pub(in crate::gateway) fn waits_for_body(&self) -> bool {
        matches!(self.hint, Hint::Try { .. })
    }

    /// Charges them: what is reported is spent, whatever becomes of the request. `body` is none where it did not come
    /// whole.
    pub(in crate::gateway) async fn charge(
        mut self,
        core: &Arc<Core>,
        key: &Key,
        (head, body, id): (&Parts, Option<&Bytes>, u128),
    ) -> Result<Sum, Refusal> {
        let origin = Origin::of(key, &head.headers).within(id);
        let path = head.uri.path();
        for (place, it) in self.all.iter_mut().enumerate() {
            if it.report.id.is_some() {
                continue;
            }
            let (place, what) = (place.to_string(), digest(it));
            it.report.id = match (&self.hint, body) {
                (Hint::Name(name), _) => Some(same(&[name, path, &place, &what])),
                (Hint::Try { is_first }, Some(body)) => {
                    let body = hex(&Sha256::digest(body).into());
                    let content = same(&[&body, path, &place, &what]);
                    let own = format!("{content}/{}", request_id(core.new_id()));
                    Some(first_try(core, origin.owner(), (content, own), *is_first).await?)
                }
                (Hint::Try { .. }, None) | (Hint::None, _) => None,
            };
        }
        let cost = UsdNanos(self.all.iter().map(|it| it.cost.0).fold(0, i64::saturating_add));
        let charged = charge(core, origin, self.all).await?;
        let replayed = charged.iter().filter(|it| it.is_replayed).count();
        Ok(Sum { cost, replayed })
    }
}

/// The same for the same.
fn same(parts: &[&str]) -> String {
    let all = parts.iter().fold(Sha256::new(), |it, part| it.chain_update(part).chain_update([0]));
    hex(&all.finalize().into())
}

/// The id under which a report was charged when its request came first. It is noted before it is charged, so that a retry
/// finds it whatever became of the process that had it.
async fn first_try(
    core: &Core,
    owner: &str,
    (content, own): (String, String),
    is_first: bool,
) -> Result<String, Refusal> {
    let now = core.clock.now();
    let since = now.minus(KNOWN_FOR);
    let tried = FirstTry { owner: owner.to_owned(), content, id: own.clone(), at: now };
    let Some((store, _)) = core.ledger.place() else {
        return Ok(lock(&core.usage.seen).first_try(tried, since, is_first));
    };
    if !is_first {
        let former = store.find_first_try((owner, &tried.content), since).await;
        if let Some(id) = former.map_err(|it| silent(&it))? {
            return Ok(id);
        }
    }
    store.save_first_try(&tried).await.map_err(|it| silent(&it))?;
    Ok(own)
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Hint {
        let header = |it: &(&'static str, &str)| {
            (HeaderName::from_static(it.0), HeaderValue::from_str(it.1).unwrap())
        };
        hint(&headers.iter().map(header).collect())
    }

    #[test]
    fn a_name_that_a_client_gave_says_more_than_a_count() {
        let name = |it: &str| Hint::Name(it.to_owned());
        let first = ("x-stainless-retry-count", "0");
        assert_eq!(of(&[("idempotency-key", "a"), first]), name("idempotency-key: a"));
        assert_eq!(of(&[("x-client-request-id", "a")]), name("x-client-request-id: a"));
        assert_eq!(of(&[first]), Hint::Try { is_first: true });
        assert_eq!(of(&[("x-stainless-retry-count", "2")]), Hint::Try { is_first: false });
        // Proxies give the calls of one page the same.
        assert_eq!(of(&[("x-request-id", "a")]), Hint::None);
        assert_eq!(of(&[("x-stainless-retry-count", "many")]), Hint::None);
    }
}
