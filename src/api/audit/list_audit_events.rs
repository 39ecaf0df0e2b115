//! `GET /api/v1/audit`: newest first; owners see all of it, admins what concerns their team.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::desk::server::audit;
use crate::http::{App, Json, Page, PageQuery, Problem, Query, Visitor, csv};
use crate::model::Timestamp;
use crate::store::audit::AuditRow;

/// Which part of the log.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Name of a team; only owners may leave it out.
    team: Option<String>,
    /// Id of a project.
    project: Option<String>,
    /// Who did it: `person:<login>`, `run:<id>`, `system`.
    actor: Option<String>,
    /// What was done: `secret.read`, or `secret.` for all that begin so.
    action: Option<String>,
    /// What it was done to.
    subject: Option<String>,
    /// From this moment on, in milliseconds since 1970-01-01 UTC.
    since: Option<i64>,
    /// Before this moment.
    until: Option<i64>,
    /// `json` for a page; `jsonl` (or `ndjson`) for one object a line, `csv` for a table. The cursor of the next
    /// page is then in the header `x-next-cursor`.
    format: Option<String>,
}

/// Something that was done.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct AuditBody {
    /// Its id.
    id: String,
    /// When, in milliseconds since 1970-01-01 UTC.
    at: i64,
    /// Who did it.
    actor: String,
    /// Where they called from, or empty.
    address: String,
    /// What was done.
    action: String,
    /// Id of the team, or empty.
    team: String,
    /// Id of the project, or empty.
    project: String,
    /// What it was done to.
    subject: String,
    /// More of it.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
}

impl From<AuditRow> for AuditBody {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id,
            at: row.at.0,
            actor: row.actor,
            address: row.address,
            action: row.action,
            team: row.team.0,
            project: row.project.0,
            subject: row.subject,
            detail: serde_json::from_str(&row.detail).unwrap_or_default(),
        }
    }
}

/// Lists the audit log.
#[utoipa::path(
    get, path = "/audit", tag = "audit",
    extensions(("x-access" = json!("owner"))),
    params(AuditQuery, PageQuery),
    responses((status = 200, body = Page<AuditBody>)),
)]
pub(super) async fn list_audit_events(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<AuditQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Response, Problem> {
    let wanted = audit::AuditQuery {
        team: query.team,
        project: query.project.unwrap_or_default(),
        actor: query.actor.unwrap_or_default(),
        action: query.action.unwrap_or_default(),
        subject: query.subject.unwrap_or_default(),
        since: query.since.map(Timestamp),
        until: query.until.map(Timestamp),
    };
    let rows = audit::list(&app, &visitor, (wanted, page)).await?;
    let items = rows.items.into_iter().map(AuditBody::from).collect();
    let found = Page { items, next: rows.next };
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(found).into_response()),
        Some("jsonl" | "ndjson") => Ok(lines(&found)),
        Some("csv") => Ok(table(&found)),
        Some(_) => Err(Problem::bad_request("`format` is `json`, `jsonl` or `csv`")),
    }
}

/// One object a line (<https://jsonlines.org>).
fn lines(page: &Page<AuditBody>) -> Response {
    let lines = page.items.iter().filter_map(|it| serde_json::to_string(it).ok());
    let body: String = lines.map(|it| it + "\n").collect();
    exported(page, body, "application/x-ndjson")
}

/// RFC 4180.
fn table(page: &Page<AuditBody>) -> Response {
    let rows = page.items.iter().map(|it| {
        let (at, detail) = (it.at.to_string(), it.detail.to_string());
        let fields = [
            it.id.as_str(),
            at.as_str(),
            &it.actor,
            &it.address,
            &it.action,
            &it.team,
            &it.project,
            &it.subject,
            &detail,
        ];
        csv::line(&fields)
    });
    let body = csv::line(&csv::AUDIT_COLUMNS) + &rows.collect::<String>();
    exported(page, body, "text/csv; charset=utf-8; header=present")
}

fn exported(page: &Page<AuditBody>, body: String, kind: &'static str) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if let Some(next) = page.next.as_deref().and_then(|it| header::HeaderValue::from_str(it).ok()) {
        headers.insert("x-next-cursor", next);
    }
    response
}
