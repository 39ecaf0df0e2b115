//! `POST /api/v1/projects/{team}/{name}/runs`: a person starts a pipeline.

pub(super) mod list_pipelines;

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::desk::runs::{self, StartOrder};
use crate::http::{App, Detail, IDEMPOTENCY_KEY, Json, Path, Problem, Visitor};
use crate::runs::view::RunView;

/// A run to start.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StartRun {
    /// Name of the pipeline.
    pipeline: String,
    /// Branch, tag or commit id; the default branch when it is left out.
    #[serde(default)]
    r#ref: String,
    /// Values of its inputs (`on.manual.inputs`): texts, numbers, `true` or `false`.
    #[serde(default)]
    #[schema(value_type = HashMap<String, Value>)]
    inputs: BTreeMap<String, Value>,
}

/// Starts a pipeline with inputs, whatever would start it otherwise.
#[utoipa::path(
    post, path = "/projects/{team}/{name}/runs", tag = "runs",
    extensions(("x-access" = json!("developer"))),
    params(("team" = String, Path), ("name" = String, Path)),
    request_body = StartRun,
    responses((status = 201, body = RunView, description = "It waits for its turn")),
)]
pub(super) async fn start_run(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(request): Json<StartRun>,
) -> Result<(StatusCode, HeaderMap, Extension<Detail>, Json<RunView>), Problem> {
    let order = StartOrder {
        pipeline: request.pipeline,
        revision: request.r#ref,
        inputs: inputs(&request.inputs)?,
        // A client that asks twice gets one run, even when the first answer was never stored.
        key: headers.get(IDEMPOTENCY_KEY).map(|it| String::from_utf8_lossy(it.as_bytes()).into()),
    };
    let row = runs::start(&app, &visitor, &format!("{team}/{name}"), order).await?;
    let loaded = app.runs.load(&row.id).await?;
    let mut headers = HeaderMap::new();
    if let Ok(address) = HeaderValue::try_from(format!("{}/runs/{}", crate::api::PREFIX, row.id)) {
        headers.insert(header::LOCATION, address);
    }
    let noted = Extension(runs::noted_start(&row));
    Ok((StatusCode::CREATED, headers, noted, Json(RunView::of(&loaded, app.now()))))
}

fn inputs(given: &BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, Problem> {
    let text = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let title = format!("input `{name}` is no text, no number and no truth value");
                return Err(Problem::bad_request(title));
            }
        };
        Ok((name.clone(), text))
    };
    given.iter().map(text).collect()
}
