//! `GET /api/v1/projects/{team}/{name}/pipelines`: what can be started by hand, and with which inputs.

use axum::extract::State;
use serde_json::Value;

use crate::desk::runs;
use crate::http::{App, CursorForm, Json, Page, PageQuery, Path, Problem, Query, Visitor};
use crate::pipeline::file::Input;
use crate::triggers::Startable;

/// A pipeline of the trunk.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(in crate::api::runs) struct PipelineBody {
    /// Its name.
    pipeline: String,
    /// What it asks for (`on.manual.inputs`), by name.
    inputs: Vec<InputBody>,
}

/// An input.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct InputBody {
    /// Its name.
    name: String,
    /// `string`, `number`, `boolean` or `choice`.
    r#type: &'static str,
    /// Whether a value must be given.
    required: bool,
    /// Its value when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    default: Option<Value>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// What can be chosen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
}

/// Lists the pipelines of a project's trunk, as it was when the remote was last looked at.
#[utoipa::path(
    get, path = "/projects/{team}/{name}/pipelines", tag = "runs",
    extensions(("x-access" = json!("developer"))),
    params(("team" = String, Path), ("name" = String, Path), PageQuery),
    responses((status = 200, body = Page<PipelineBody>)),
)]
pub(in crate::api::runs) async fn list_pipelines(
    State(app): State<App>,
    visitor: Visitor,
    Path((team, name)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PipelineBody>>, Problem> {
    let (_, startable) = runs::startable(&app, &visitor, &format!("{team}/{name}")).await?;
    let rows = startable.into_iter().map(PipelineBody::from).collect();
    Ok(Json(Page::of_all(rows, &page.checked(CursorForm::Name)?, |it: &PipelineBody| {
        it.pipeline.clone()
    })))
}

impl From<Startable> for PipelineBody {
    fn from(startable: Startable) -> Self {
        let inputs = startable.inputs.into_iter().map(InputBody::from).collect();
        Self { pipeline: startable.pipeline, inputs }
    }
}

impl From<(String, Input)> for InputBody {
    fn from((name, input): (String, Input)) -> Self {
        Self {
            name,
            r#type: input.kind.as_str(),
            required: input.required,
            default: input.default,
            description: input.description,
            options: input.options,
        }
    }
}
