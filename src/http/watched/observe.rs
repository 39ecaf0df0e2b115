//! What is written down of each request: a line in the log, a count, and who has changed what.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::RequestExt as _;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use crate::http::App;
use crate::http::caller::{client, cross_site};
use crate::metrics;
use crate::model::{ProjectId, RunId, TeamId};
use crate::store::audit::AuditRow;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What is not one of our routes.
const UNMATCHED: &str = "unmatched";
/// What writes down itself what it does, or is no act of a person.
const SILENT: [&str; 14] = [
    "save_team_secret",
    "save_project_secret",
    "delete_team_secret",
    "delete_project_secret",
    "save_budget",
    "save_team_budget",
    "delete_budget",
    "delete_team_budget",
    "create_subscription",
    "change_subscription",
    "rotate_subscription_secret",
    "delete_subscription",
    "refresh_session",
    "notify_project",
];
/// The longest answer that is read for the name of what was made.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// The names of operations by method and route.
pub type Operations = Arc<BTreeMap<(String, String), String>>;

/// Who acts, and on which run, found out while a request is answered.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// `person:<login>`, and what they showed.
    who: Arc<OnceLock<(String, String)>>,
    /// The run that the path names, perhaps by its number or the beginning of its id.
    run: Arc<OnceLock<RunId>>,
    /// Where a request comes from that changes something.
    address: Arc<OnceLock<String>>,
}

impl Actor {
    /// It is this one.
    pub(crate) fn note(&self, actor: String, proof: String) {
        // The first extractor has said it.
        let _known = self.who.set((actor, proof));
    }

    /// Where it comes from, and what was shown.
    pub(crate) fn origin(&self) -> (String, String) {
        let address = self.address.get().cloned().unwrap_or_default();
        (address, self.who.get().map(|it| it.1.clone()).unwrap_or_default())
    }

    /// It is about this run.
    pub(crate) fn note_run(&self, run: &RunId) {
        // The first one that was asked for is what the path names.
        let _known = self.run.set(run.clone());
    }
}

/// The layer that writes it down.
pub async fn observe(
    State((app, operations)): State<(App, Operations)>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|it| it.as_str().to_owned());
    let route = route.unwrap_or_else(|| UNMATCHED.to_owned());
    let method = method_word(request.method());
    let is_unsafe = cross_site::is_unsafe(request.method());
    let (id, started, actor) = (app.new_id(), Instant::now(), Actor::default());
    request.extensions_mut().insert(actor.clone());
    request.extensions_mut().insert(RequestId(id.clone()));
    let act = if is_unsafe {
        let _first = actor.address.set(address_of(&app, &request));
        Act::of(&app, &mut request, operations.get(&(method.to_owned(), route.clone()))).await
    } else {
        None
    };
    let path = request.uri().path();
    let span = tracing::info_span!("request", id, method, path);
    let answer = async {
        let mut response = next.run(request).await;
        let took = started.elapsed();
        let status = response.status();
        metrics::request_answered(&route, method, status.as_u16(), took);
        tell(&route, status, took.as_secs_f64() * 1000.0, &actor);
        // Pages lead on when something was done.
        let is_done = status.is_success() || status == StatusCode::SEE_OTHER;
        if let Some(act) = act.filter(|_| is_done) {
            response = act.write_down(&app, &actor, response).await;
        }
        if let Ok(id) = HeaderValue::try_from(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    };
    answer.instrument(span).await
}

fn address_of(app: &App, request: &Request) -> String {
    let peer = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>();
    let peer = peer.map(|it| it.0.ip());
    client::address(peer, request.headers(), &app.auth.settings().trusted_proxies)
}

/// What watches us is not worth a line.
fn tell(route: &str, status: StatusCode, milliseconds: f64, actor: &Actor) {
    let actor = actor.who.get().map_or("-", |(actor, _)| actor);
    let status = status.as_u16();
    if matches!(route, "/healthz" | "/readyz" | "/metrics") {
        tracing::debug!(route, status, milliseconds, "answered");
    } else if status >= 500 {
        tracing::warn!(route, status, milliseconds, actor, "answered");
    } else {
        tracing::info!(route, status, milliseconds, actor, "answered");
    }
}

/// A method that we know: others can be invented.
fn method_word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Names a request in the server's log.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// What something was done to, where neither the path nor a JSON answer says it.
#[derive(Debug, Clone)]
pub struct Subject(pub String);

/// More of what was done, for the audit log. Never a secret.
#[derive(Debug, Clone, Default)]
pub struct Detail(pub serde_json::Map<String, serde_json::Value>);

impl Detail {
    /// It with one thing more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }
}

/// Something that a request wants to do.
struct Act {
    action: String,
    address: String,
    parameters: Vec<(String, String)>,
}

impl Act {
    async fn of(app: &App, request: &mut Request, operation: Option<&String>) -> Option<Self> {
        let operation = operation.filter(|it| !SILENT.contains(&it.as_str()))?;
        let (verb, noun) = operation.split_once('_').unwrap_or((operation, "server"));
        let address = address_of(app, request);
        let parameters = request.extract_parts::<RawPathParams>().await.ok();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let parameters = parameters.iter().flatten().map(owned).collect();
        Some(Self { action: format!("{noun}.{verb}"), address, parameters })
    }

    /// Adds it to the audit log. It is done already: a log that fails is told, and changes no answer.
    async fn write_down(mut self, app: &App, actor: &Actor, response: Response) -> Response {
        if let Some(run) = actor.run.get() {
            for (_, value) in self.parameters.iter_mut().filter(|(name, _)| name == "run") {
                value.clone_from(&run.0);
            }
        }
        let Some((actor, proof)) = actor.who.get() else { return response };
        let said = response.extensions().get::<Subject>().map(|it| it.0.clone());
        let more = response.extensions().get::<Detail>().cloned().unwrap_or_default();
        let (made, response) = made(response).await;
        let (team, project) = self.place(app).await;
        let named: Vec<&str> = self.parameters.iter().map(|(_, value)| value.as_str()).collect();
        let known = if named.is_empty() { made } else { named.join("/") };
        let subject = said.unwrap_or(known);
        let mut detail = serde_json::json!({ "proof": proof });
        if let Some(fields) = detail.as_object_mut() {
            fields.extend(more.0);
        }
        let row = AuditRow {
            id: app.new_id(),
            at: app.now(),
            actor: actor.clone(),
            address: self.address,
            action: self.action,
            team,
            project,
            subject,
            detail: detail.to_string(),
        };
        if let Err(error) = app.store.insert_audit_events(&[row]).await {
            tracing::error!(%error, "an entry of the audit log could not be stored");
        }
        response
    }

    /// Whose it is, by what the path names.
    async fn place(&self, app: &App) -> (TeamId, ProjectId) {
        let find = |name: &str| {
            let found = self.parameters.iter().find(|(it, _)| it == name);
            found.map(|(_, value)| value.as_str())
        };
        let nowhere = || (TeamId(String::new()), ProjectId(String::new()));
        let project = match (find("run"), find("team"), find("name").or(find("project"))) {
            (Some(run), ..) => {
                let run = app.store.find_run(&RunId(run.to_owned())).await.ok().flatten();
                match run {
                    Some(run) => app.store.find_project(&run.project).await.ok().flatten(),
                    None => None,
                }
            }
            (None, Some(team), Some(name)) => {
                app.store.find_project_by_name(team, name).await.ok().flatten()
            }
            (None, Some(team), None) => {
                let team = app.store.find_team(team).await.ok().flatten();
                return team.map_or_else(nowhere, |it| (it.id, ProjectId(String::new())));
            }
            (None, None, _) => None,
        };
        project.map_or_else(nowhere, |it| (it.team, it.id))
    }
}

/// The name of what was made, as a short JSON answer has it; and the answer as it was.
async fn made(response: Response) -> (String, Response) {
    let size = response.body().size_hint().exact();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|it| it.to_str().is_ok_and(|it| it.starts_with("application/json")));
    if !is_json || size.is_none_or(|it| it > ANSWER_BYTES_MAX) {
        return (String::new(), response);
    }
    let (parts, body) = response.into_parts();
    let limit = usize::try_from(ANSWER_BYTES_MAX).unwrap_or(usize::MAX);
    let bytes = axum::body::to_bytes(body, limit).await.unwrap_or_else(|error| {
        tracing::error!(%error, "an answer broke");
        Bytes::new()
    });
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let name = ["login", "name", "id"].iter().find_map(|it| json.get(it)?.as_str());
    (name.unwrap_or_default().to_owned(), Response::from_parts(parts, Body::from(bytes)))
}
