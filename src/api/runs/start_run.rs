//! `POST /api/v1/projects/{team}/{name}/runs`: a person starts a pipeline.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::http::{App, IDEMPOTENCY_KEY, Json, Path, Problem, ProblemKind, Visitor};
use crate::model::{Digest, Role};
use crate::runs::view::RunView;
use crate::triggers::{ManualError, ManualOrder};

/// Inputs that a request may have, and the longest of them.
const INPUTS_MAX: usize = 100;
const INPUT_CHARS_MAX: usize = 64 * 1024;

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
) -> Result<(StatusCode, HeaderMap, Json<RunView>), Problem> {
    let project = crate::desk::projects::find(&app, &visitor, &format!("{team}/{name}")).await?;
    visitor.require(&project.team, Role::Developer, "this project")?;
    let order = ManualOrder {
        pipeline: request.pipeline,
        revision: request.r#ref,
        inputs: inputs(&request.inputs)?,
        cause: cause(&app, &visitor, &headers),
    };
    let row = app.triggers.start_manual(&project, order).await.map_err(problem)?;
    let loaded = app.runs.load(&row.id).await?;
    let mut headers = HeaderMap::new();
    if let Ok(address) = HeaderValue::try_from(format!("{}/runs/{}", crate::api::PREFIX, row.id)) {
        headers.insert(header::LOCATION, address);
    }
    Ok((StatusCode::CREATED, headers, Json(RunView::of(&loaded, app.now()))))
}

/// A client that asks twice under one key gets one run, even when the first answer was never stored.
fn cause(app: &App, visitor: &Visitor, headers: &HeaderMap) -> String {
    let key = headers.get(IDEMPOTENCY_KEY).map(|it| Digest::of(it.as_bytes()).hex().to_owned());
    format!("manual:{}:{}", visitor.0.person, key.unwrap_or_else(|| app.new_id()))
}

fn inputs(given: &BTreeMap<String, Value>) -> Result<BTreeMap<String, String>, Problem> {
    if given.len() > INPUTS_MAX {
        return Err(Problem::bad_request(format!("`inputs` has more than {INPUTS_MAX} values")));
    }
    let text = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                let title = format!("input `{name}` is no text, no number and no truth value");
                return Err(Problem::bad_request(title));
            }
        };
        if text.chars().count() > INPUT_CHARS_MAX {
            let title = format!("input `{name}` has more than {INPUT_CHARS_MAX} characters");
            return Err(Problem::bad_request(title));
        }
        Ok((name.clone(), text))
    };
    given.iter().map(text).collect()
}

fn problem(error: ManualError) -> Problem {
    if let ManualError::Remote(..) = &error {
        tracing::warn!(error = &error as &dyn std::error::Error, "a remote failed");
    }
    let help = error.help();
    let problem = match error {
        ManualError::Trigger(error) => error.into(),
        ManualError::Archived(_)
        | ManualError::NoRevision(_)
        | ManualError::NoPipeline { .. }
        | ManualError::Refused(_)
        | ManualError::Remote(..) => Problem::new(ProblemKind::Refused, error.to_string()),
    };
    if let Some(help) = help { problem.with_help(help) } else { problem }
}
