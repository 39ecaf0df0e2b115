//! Who may call, what, and how often; and the requests that go to no provider.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method, Request, Response};

use super::{Call, asked, headers, shelf};
use crate::gateway::budget::scope::Kind;
use crate::gateway::call::answer::Answer;
use crate::gateway::keys::Key;
use crate::gateway::prices::matcher::Matcher;
use crate::gateway::server::Core;
use crate::gateway::settings::CassetteMode;
use crate::model::Timestamp;
use crate::provider::refusal::Refusal;
use crate::provider::{Dialect, Operation};

/// The list of models, in both formats.
const MODELS: &str = "/v1/models";
/// The longest name of an endpoint.
const ENDPOINT_LETTERS: usize = 100;

/// Answers one request.
pub async fn answer(core: Arc<Core>, request: Request<Incoming>) -> Response<Answer> {
    let started = Instant::now();
    let id = core.new_id();
    let dialect = dialect_of(&request);
    let mut response = match admit(&core, request, id, started).await {
        Ok(Admitted::Call(call)) => run(&core, *call).await,
        Ok(Admitted::Models(list)) => headers::json(list),
        Ok(Admitted::Shelf(response)) => response,
        Err(refusal) => headers::refused(&refusal, dialect),
    };
    headers::name(&mut response, id);
    response
}

/// Runs a call in a task of its own. When the client leaves, its answer is dropped there, which settles it.
async fn run(core: &Core, call: Call) -> Response<Answer> {
    let dialect = call.operation.dialect();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    core.tasks.spawn(async move {
        drop(sender.send(call.run().await));
    });
    receiver.await.unwrap_or_else(|_| {
        let broken = Refusal::Upstream("the gateway could not finish the call".to_owned());
        headers::refused(&broken, dialect)
    })
}

enum Admitted {
    Call(Box<Call>),
    Models(String),
    Shelf(Response<Answer>),
}

async fn admit(
    core: &Arc<Core>,
    request: Request<Incoming>,
    id: u128,
    started: Instant,
) -> Result<Admitted, Refusal> {
    let at = core.clock.now();
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let is_list = head.method == Method::GET && path == MODELS;
    let operation = Operation::of_path(path).filter(|_| head.method == Method::POST);
    let is_shelf = path.starts_with(shelf::PREFIX);
    if operation.is_none() && !is_list && !is_shelf {
        return Err(Refusal::NotFound(format!("`{} {path}` leads nowhere here", head.method)));
    }
    let text = key_text(&head.headers).ok_or(Refusal::Unauthorized)?;
    let key = core.keys.find(text, at).ok_or(Refusal::Unauthorized)?;
    if is_list {
        return Ok(Admitted::Models(models(core, key, dialect_of_headers(&head.headers))));
    }
    core.keys
        .take(text, at)
        .map_err(|(limit, retry_after)| Refusal::Rate { retry_after, limit })?;
    let Some(operation) = operation else {
        return shelf(core, key, (&head.method, path), body).await.map(Admitted::Shelf);
    };
    let body = read(core, body).await?;
    let asked = asked(operation, &body)?;
    if key.models.as_ref().is_some_and(|it| !it.matches(&asked.model)) {
        let what = format!("this key may not call the model `{}`", asked.model);
        return Err(Refusal::Forbidden(what));
    }
    let mut call = Call {
        core: core.clone(),
        id,
        at,
        started,
        operation,
        key: key.name.clone(),
        subject: key.subject.clone(),
        cassette: cassette(core, key)?,
        headers: head.headers,
        body,
        asked,
        keeping: Mutex::default(),
        known_tokens: 0,
        attempts_before: 0,
    };
    name_endpoint(&mut call);
    Ok(Admitted::Call(Box::new(call)))
}

/// The cache as programs use it themselves.
async fn shelf(
    core: &Arc<Core>,
    key: &Key,
    (method, path): (&Method, &str),
    body: Incoming,
) -> Result<Response<Answer>, Refusal> {
    let body = read(core, body).await?;
    shelf::answer(core, key, (method, path), &body).await
}

/// The whole body, within the limits of size and time.
async fn read(core: &Core, body: Incoming) -> Result<Bytes, Refusal> {
    let limit_bytes = core.limits.request_bytes;
    let limited = Limited::new(body, usize::try_from(limit_bytes).unwrap_or(usize::MAX));
    match tokio::time::timeout(core.limits.request_ms.into(), limited.collect()).await {
        Ok(Ok(all)) => Ok(all.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge { limit_bytes }),
        Ok(Err(error)) => Err(Refusal::Unreadable(format!("the body broke off: {error}"))),
        Err(_) => Err(Refusal::Unreadable("the body did not come in time".to_owned())),
    }
}

/// An app with a key of its team says which of its endpoints calls; a key of an endpoint stays with it.
fn name_endpoint(call: &mut Call) {
    let name = call.headers.get("x-trunkline-endpoint").and_then(|it| it.to_str().ok());
    let name = name.filter(|it| !it.is_empty() && it.len() <= ENDPOINT_LETTERS);
    if let (Some(name), None) = (name, call.subject.get(Kind::Endpoint)) {
        call.subject = call.subject.clone().with(Kind::Endpoint, name);
    }
}

fn cassette(
    core: &Core,
    key: &Key,
) -> Result<Option<Arc<crate::gateway::cassette::Cassette>>, Refusal> {
    let (Some(cassettes), Some(name)) = (&core.cassettes, &key.cassette) else { return Ok(None) };
    if core.cassette_mode == CassetteMode::Live {
        return Ok(None);
    }
    let opened = cassettes.open(name);
    opened.map(Some).map_err(|it| Refusal::CassetteMiss { message: it.to_string() })
}

/// `authorization: Bearer` as `OpenAI` has it, or `x-api-key` as Anthropic.
fn key_text(headers: &HeaderMap) -> Option<&str> {
    let own = headers.get("x-api-key").and_then(|it| it.to_str().ok());
    own.or_else(|| {
        let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    })
}

fn dialect_of(request: &Request<Incoming>) -> Dialect {
    match Operation::of_path(request.uri().path()) {
        Some(operation) => operation.dialect(),
        None => dialect_of_headers(request.headers()),
    }
}

fn dialect_of_headers(headers: &HeaderMap) -> Dialect {
    let is_anthropic = headers.contains_key("anthropic-version");
    if is_anthropic { Dialect::Anthropic } else { Dialect::OpenAi }
}

/// The models of this format that routes name in full and that the key may call.
fn models(core: &Core, key: &Key, dialect: Dialect) -> String {
    let mut names: Vec<_> = core.routes.iter().flat_map(|it| literals(&it.model)).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|it| key.models.as_ref().is_none_or(|models| models.matches(it)));
    let leads = |it: &&str| {
        !crate::gateway::route::steps(&core.routes, &core.known, it, dialect, 0).is_empty()
    };
    let names: Vec<_> = names.into_iter().filter(leads).collect();
    let list = match dialect {
        Dialect::OpenAi => {
            let model = |it: &&str| serde_json::json!({"id": it, "object": "model", "created": 0, "owned_by": "trunkline"});
            serde_json::json!({"object": "list", "data": names.iter().map(model).collect::<Vec<_>>()})
        }
        Dialect::Anthropic => {
            let created = crate::gateway::prices::rate::Date::of(Timestamp(0)).to_string();
            let created = format!("{created}T00:00:00Z");
            let model = |it: &&str| serde_json::json!({"type": "model", "id": it, "display_name": it, "created_at": created});
            serde_json::json!({
                "data": names.iter().map(model).collect::<Vec<_>>(),
                "has_more": false,
                "first_id": names.first(),
                "last_id": names.last(),
            })
        }
    };
    list.to_string()
}

fn literals(matcher: &Matcher) -> Vec<&str> {
    match matcher {
        Matcher::Glob(name) if !name.contains('*') => vec![name],
        Matcher::Any(several) => several.iter().flat_map(literals).collect(),
        Matcher::Glob(_) | Matcher::All { .. } | Matcher::Regex { .. } => Vec::new(),
    }
}
