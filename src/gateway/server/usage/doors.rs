//! Reports over HTTP: `POST /trunkline/usage` charges, `POST /trunkline/usage/check` asks whether it would fit.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::charge::{would_fit, written};
use super::{Charged, Origin, Priced, charge, priced, report};
use crate::gateway::call::answer::Answer;
use crate::gateway::call::headers;
use crate::gateway::keys::Key;
use crate::gateway::server::Core;
use crate::model::UsdNanos;
use crate::provider::refusal::Refusal;

/// Where all of this is.
const PATH: &str = "/trunkline/usage";
const CHECK: &str = "/trunkline/usage/check";
/// The largest body.
const BODY_BYTES: usize = 1 << 20;

/// Whether a path is one of these.
pub(in crate::gateway) fn is_path(path: &str) -> bool {
    path == PATH || path == CHECK
}

/// Answers one request.
pub(in crate::gateway) async fn answer(
    core: &Arc<Core>,
    key: &Key,
    (head, body): (&Parts, &Bytes),
) -> Result<Response<Answer>, Refusal> {
    let path = head.uri.path();
    if head.method != Method::POST {
        let what = format!("`{} {path}` leads nowhere here", head.method);
        return Err(Refusal::NotFound(what));
    }
    if body.len() > BODY_BYTES {
        return Err(Refusal::TooLarge { limit_bytes: BODY_BYTES as u64 });
    }
    let origin = Origin::of(key, &head.headers);
    let reports = report::read(body, path == PATH).map_err(Refusal::Unreadable)?;
    let at = core.clock.now();
    let all: Result<Vec<_>, _> = reports.into_iter().map(|it| priced(core, it, at)).collect();
    let all = all?;
    if path == CHECK { check(core, &origin, &all).await } else { take(core, origin, all).await }
}

async fn take(
    core: &Arc<Core>,
    origin: Origin,
    all: Vec<Priced>,
) -> Result<Response<Answer>, Refusal> {
    let charged = charge(core, origin, all.clone()).await?;
    for it in charged.iter().rev().filter(|it| !it.is_replayed).take(1) {
        written(core, &it.request).await?;
    }
    let exceeded = charged.iter().find_map(|it| it.exceeded.clone());
    let exceeded = exceeded.map(|(budget, message)| json!({"budget": budget, "message": message}));
    let reports: Vec<_> = all.iter().zip(&charged).map(|(it, charged)| view(it, charged)).collect();
    let body = json!({
        "object": "usage",
        "cost_usd": usd(sum(&all)),
        // The first budget that they did not fit into: they are charged all the same.
        "exceeded": exceeded,
        "reports": reports,
    });
    Ok(headers::json(body.to_string()))
}

async fn check(core: &Core, origin: &Origin, all: &[Priced]) -> Result<Response<Answer>, Refusal> {
    let cost = usd(sum(all));
    match would_fit(core, origin, all).await {
        Ok(remaining) => {
            let remaining = remaining.map(usd);
            let body =
                json!({"allowed": true, "cost_usd": cost, "budget_remaining_usd": remaining});
            Ok(headers::json(body.to_string()))
        }
        Err(Refusal::Budget { budget, message }) => {
            let error = json!({"code": "budget_exceeded", "budget": budget, "message": message});
            let body = json!({"allowed": false, "cost_usd": cost, "error": error});
            let mut response = headers::json(body.to_string());
            *response.status_mut() = StatusCode::PAYMENT_REQUIRED;
            let never = HeaderValue::from_static("false");
            response.headers_mut().insert("x-should-retry", never);
            Ok(response)
        }
        Err(other) => Err(other),
    }
}

fn view(it: &Priced, charged: &Charged) -> Value {
    json!({
        "id": it.report.id,
        "name": it.report.name,
        "provider": it.provider,
        "cost_usd": usd(charged.cost),
        "overrun_usd": usd(charged.overrun),
        "price": it.price.id,
        "replayed": charged.is_replayed,
        "request_id": charged.request,
        "flags": it.flags,
    })
}

fn sum(all: &[Priced]) -> UsdNanos {
    UsdNanos(all.iter().map(|it| it.cost.0).fold(0, i64::saturating_add))
}

/// Dollars, as headers have them.
pub(in crate::gateway) fn usd(amount: UsdNanos) -> String {
    amount.to_string().trim_end_matches(" USD").to_owned()
}
