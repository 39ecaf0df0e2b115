//! The cache as programs use it themselves: results of tools put there and taken out, and new versions
//! of the content of a namespace. A tool's result is found by its name and its arguments.

use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::cached::NAME_LETTERS;
use super::headers;
use crate::gateway::cache::kept::{Content, Kept};
use crate::gateway::cache::settings::DEFAULT;
use crate::gateway::cache::wish::key;
use crate::gateway::cache::{Cache, VersionError};
use crate::gateway::call::answer::Answer;
use crate::gateway::cassette::canonical;
use crate::gateway::keys::Key;
use crate::gateway::server::Core;
use crate::model::Milliseconds;
use crate::provider::refusal::Refusal;

/// Where all of this is.
pub(super) const PREFIX: &str = "/trunkline/cache/";
/// `POST`: get, `PUT`: put.
const TOOLS: &str = "tools";
/// `PUT`: a new version.
const NAMESPACES: &str = "namespaces/";

/// A call of a tool.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Used<'a> {
    namespace: Option<String>,
    version: Option<String>,
    tool: String,
    arguments: Value,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    ttl_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewVersion {
    version: String,
}

/// Answers one request.
pub(super) async fn answer(
    core: &Core,
    caller: &Key,
    (method, path): (&Method, &str),
    body: &Bytes,
) -> Result<Response<Answer>, Refusal> {
    let nowhere = || Refusal::NotFound(format!("`{method} {path}` leads nowhere here"));
    let cache = core.cache.as_ref().ok_or_else(nowhere)?;
    let rest = path.strip_prefix(PREFIX).ok_or_else(nowhere)?;
    let tenant = cache.settings().share.tenant(&caller.subject, &caller.name);
    if let (Some(name), &Method::PUT) = (rest.strip_prefix(NAMESPACES), method) {
        return set_version(cache, &tenant, name, body).await;
    }
    if rest != TOOLS {
        return Err(nowhere());
    }
    let text = std::str::from_utf8(body).map_err(|it| Refusal::Unreadable(it.to_string()))?;
    let call: Used<'_> = serde_json::from_str(text).map_err(|it| unreadable(&it))?;
    match (method, call.value) {
        (&Method::PUT, Some(value)) => put(cache, &tenant, &call, value).await,
        (&Method::PUT, None) => Err(Refusal::Unreadable("`value` is missing".to_owned())),
        (&Method::POST, None) => get(cache, &tenant, &call).await,
        (&Method::POST, Some(_)) => {
            Err(Refusal::Unreadable("`value` is put with `PUT`".to_owned()))
        }
        _ => Err(nowhere()),
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::Unreadable(format!("the request body is not understood: {error}"))
}

async fn get(cache: &Cache, tenant: &str, call: &Used<'_>) -> Result<Response<Answer>, Refusal> {
    let key = key_of(cache, tenant, call).await;
    let kept = match key {
        Some(key) => cache.find(&key).await,
        None => None,
    };
    let missing = || Refusal::NotFound(format!("no result of `{}` is kept", call.tool));
    let kept = kept.ok_or_else(missing)?;
    let Content::Whole(value) = &kept.content else { return Err(missing()) };
    let value = String::from_utf8_lossy(value);
    let mut response = headers::json(format!(r#"{{"value":{value}}}"#));
    headers::from_cache(&mut response);
    Ok(response)
}

async fn put(
    cache: &Cache,
    tenant: &str,
    call: &Used<'_>,
    value: &RawValue,
) -> Result<Response<Answer>, Refusal> {
    let own = call.ttl_seconds.map(|it| Milliseconds(it.saturating_mul(1000)));
    let namespace = call.namespace.as_deref().unwrap_or(DEFAULT);
    let ttl = own.unwrap_or_else(|| cache.settings().ttl(namespace));
    let kept = Kept::json(Bytes::copy_from_slice(value.get().as_bytes()));
    if kept.size() as u64 > cache.settings().entry_bytes {
        return Err(Refusal::TooLarge { limit_bytes: cache.settings().entry_bytes });
    }
    if let Some(key) = key_of(cache, tenant, call).await {
        cache.keep(&key, kept, ttl);
    }
    Ok(nothing())
}

/// `None` when the version of the namespace cannot be known now.
async fn key_of(cache: &Cache, tenant: &str, call: &Used<'_>) -> Option<String> {
    let namespace = call.namespace.as_deref().unwrap_or(DEFAULT);
    let version = match &call.version {
        Some(version) => format!("said {version}"),
        None => format!("known {}", cache.version(tenant, namespace).await?),
    };
    let arguments = canonical::text(&call.arguments);
    Some(key(&["tool", tenant, namespace, &version, &call.tool, &arguments]))
}

async fn set_version(
    cache: &Cache,
    tenant: &str,
    name: &str,
    body: &Bytes,
) -> Result<Response<Answer>, Refusal> {
    let NewVersion { version } = serde_json::from_slice(body).map_err(|it| unreadable(&it))?;
    let is_name = |it: &str| !it.is_empty() && it.len() <= NAME_LETTERS;
    if !is_name(name) || !is_name(&version) || name == DEFAULT {
        let what = format!("a namespace and its version have 1 to {NAME_LETTERS} letters");
        return Err(Refusal::Unreadable(format!("{what}, and `{DEFAULT}` has none")));
    }
    match cache.set_version(tenant, name, &version).await {
        Ok(()) => Ok(nothing()),
        Err(error @ VersionError::Down) => Err(Refusal::Upstream(error.to_string())),
        Err(error @ VersionError::Full) => Err(Refusal::Forbidden(error.to_string())),
    }
}

fn nothing() -> Response<Answer> {
    let mut response = Response::new(Answer::full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
