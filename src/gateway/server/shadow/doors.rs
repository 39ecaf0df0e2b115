//! What is known of candidates over HTTP: for keys whose calls they copy. Reports, and metrics for the gate of a pipeline.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response};
use serde_json::{Value, json};

use super::{Shadow, index, report};
use crate::gateway::budget::scope::Kind;
use crate::gateway::call::answer::Answer;
use crate::gateway::keys::Key;
use crate::gateway::server::Core;
use crate::model::{Milliseconds, Timestamp};
use crate::provider::refusal::{Refusal, STORE};

/// Where all of this is.
const PATH: &str = "/trunkline/shadow";
/// What a report is about when nobody says.
const SINCE: &str = "24h";
/// When to come again while the store does not answer.
const STORE_AGAIN: Milliseconds = Milliseconds(1_000);

/// Whether a path is one of these.
pub(in crate::gateway) fn is_path(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers one request.
pub(in crate::gateway) async fn answer(
    core: &Arc<Core>,
    key: &Key,
    (head, body): (&Parts, &[u8]),
) -> Result<Response<Answer>, Refusal> {
    let path = head.uri.path();
    let nowhere = || Refusal::NotFound(format!("`{} {path}` leads nowhere here", head.method));
    let name = path.strip_prefix(PATH).unwrap_or_default().trim_start_matches('/');
    let (name, action) = name.split_once('/').unwrap_or((name, ""));
    let is_known = match action {
        "" | "pick" => head.method == Method::GET,
        "pairs" => head.method == Method::POST,
        _ => false,
    };
    if !is_known {
        return Err(nowhere());
    }
    let mut seen = core.shadows.all.iter().filter(|it| may_see(key, it));
    if name.is_empty() {
        let list: Vec<_> = seen.map(|it| view(it)).collect();
        return Ok(reply("application/json", json!({"object": "list", "data": list}).to_string()));
    }
    let missing =
        || Refusal::NotFound(format!("there is no shadow `{name}` that this key may see"));
    let shadow = seen.find(|it| it.settings.name == name).ok_or_else(missing)?;
    match action {
        "pick" => index::pick(core, key, (shadow, head)).await,
        "pairs" => index::pairs(core, key, (shadow, head, body)).await,
        _ => told(core, key, (shadow, head)).await,
    }
}

/// The report of one: a key of a team hears of the calls of its own team.
async fn told(
    core: &Core,
    key: &Key,
    (shadow, head): (&Shadow, &Parts),
) -> Result<Response<Answer>, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let value = |name: &str| {
        query.split('&').filter_map(|it| it.split_once('=')).find(|it| it.0 == name).map(|it| it.1)
    };
    let since = since(core.clock.now(), value("since").unwrap_or(SINCE))?;
    let of = (shadow.settings.name.as_str(), key.subject.get(Kind::Team));
    let rows = core.shadows.pairs(of, since).await.map_err(|error| {
        tracing::error!(%error, "pairs of a shadow cannot be read");
        Refusal::Away { what: STORE, retry_after: STORE_AGAIN }
    })?;
    let report = report::of(&rows);
    match value("format").unwrap_or("json") {
        "metrics" => {
            let lines = report.metrics().into_iter();
            let lines = lines.map(|(name, value)| format!("{}\n", json!({ name: value })));
            Ok(reply("application/x-ndjson", lines.collect()))
        }
        "json" => {
            let metrics: serde_json::Map<_, _> =
                report.metrics().into_iter().map(|it| (it.0.to_owned(), json!(it.1))).collect();
            let mut view = view(shadow);
            if let Some(fields) = view.as_object_mut() {
                fields.insert("report".to_owned(), json!(report));
                fields.insert("metrics".to_owned(), Value::Object(metrics));
            }
            Ok(reply("application/json", view.to_string()))
        }
        _ => Err(Refusal::Unreadable("`format` is `json` or `metrics`".to_owned())),
    }
}

/// A key sees a candidate if nothing says that it copies the calls of others: another team or project.
fn may_see(key: &Key, shadow: &Shadow) -> bool {
    [Kind::Organisation, Kind::Team, Kind::Project].into_iter().all(|kind| {
        let wanted = shadow.settings.scope.get(kind).filter(|it| *it != "*");
        match (wanted, key.subject.get(kind)) {
            (None, _) => true,
            (Some(wanted), Some(own)) => wanted == own,
            (Some(_), None) => false,
        }
    })
}

fn view(shadow: &Shadow) -> Value {
    let its = &shadow.settings;
    json!({
        "name": its.name,
        "object": "shadow",
        "percent": its.percent,
        "model": its.model,
        "prompt": its.prompt,
        "index": its.index,
        "of": its.of,
        "budget": shadow.endpoint(),
        // Of the process that answers.
        "made": shadow.made.load(Ordering::Relaxed),
        "dropped": shadow.dropped.load(Ordering::Relaxed),
    })
}

/// So long ago: `30m`, `24h`, `7d`.
fn since(now: Timestamp, text: &str) -> Result<Timestamp, Refusal> {
    let wrong = || Refusal::Unreadable("`since` is a span, such as `24h` or `7d`".to_owned());
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number: i64 = text.strip_suffix(unit).and_then(|it| it.parse().ok()).ok_or_else(wrong)?;
    let span = number.checked_mul(seconds * 1000).filter(|it| *it > 0).ok_or_else(wrong)?;
    Ok(Timestamp(now.0.saturating_sub(span)))
}

fn reply(kind: &'static str, body: String) -> Response<Answer> {
    let mut response = Response::new(Answer::full(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
