//! `/runs/{run}/rerun`: what would run again, and the order to do so.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{path_of, told};
use crate::desk::runs::{self, RerunOrder, SeenRun};
use crate::engine::RerunScope;
use crate::http::{App, Path, Problem, Query};
use crate::model::Role;
use crate::ui::above::AboveRun;
use crate::ui::form::{Posted, onward};
use crate::ui::shell::{Section, Shell, Visit, page};

/// What stands in the address.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct AskQuery {
    /// Key of a stage, or empty for everything.
    #[serde(default)]
    stage: String,
}

#[derive(Template)]
#[template(path = "runs/rerun.html")]
struct RerunPage {
    shell: Shell,
    above: AboveRun,
    path: String,
    /// Key of the stage that is asked for, or empty.
    stage: String,
    /// What it would do.
    told: String,
    /// Why nothing would be done.
    refusal: Option<String>,
}

/// What is ordered.
#[derive(Debug, serde::Deserialize)]
pub(super) struct RerunForm {
    /// `all`, `failed` or `stage`.
    scope: String,
    #[serde(default)]
    stage: String,
    /// Whether no earlier result may stand for a stage.
    no_reuse: Option<String>,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(run): Path<String>,
    Query(query): Query<AskQuery>,
) -> Result<Response, Problem> {
    let row = runs::find(&app, &visit.visitor, &run, Role::Developer).await?;
    let seen = SeenRun::find(&app, &visit.visitor, &row.id.0).await?;
    let scope = if query.stage.is_empty() {
        RerunScope::All
    } else {
        RerunScope::Stages(vec![seen.loaded.find_stage(&query.stage)?])
    };
    let (told, refusal) = match runs::rerun_stages(&app, &seen.loaded, scope) {
        Ok(stages) => (told::rerun(&seen.view, &stages), None),
        Err(refused) => (String::new(), Some(refused.to_string())),
    };
    let archived = seen.archived().map(|it| {
        format!("project `{it}` is archived; an admin of the team can restore it in its settings")
    });
    page(&RerunPage {
        shell: visit.shell(Section::Runs, format!("Run #{} again", row.number)),
        path: path_of(&row.id),
        stage: query.stage,
        above: AboveRun::of(&row),
        told,
        refusal: archived.or(refusal),
    })
}

pub(super) async fn send(
    State(app): State<App>,
    Path(run): Path<String>,
    Posted(visitor, form): Posted<RerunForm>,
) -> Result<Response, Problem> {
    let order = order(form)?;
    let loaded = runs::rerun(&app, &visitor, &run, &order).await?;
    Ok(onward(&format!("{}?done=rerun", path_of(&loaded.row.id))))
}

fn order(form: RerunForm) -> Result<RerunOrder, Problem> {
    let no_reuse = form.no_reuse.is_some();
    let order = RerunOrder { no_reuse, ..RerunOrder::default() };
    match form.scope.as_str() {
        "all" => Ok(order),
        "failed" => Ok(RerunOrder { is_failed_only: true, ..order }),
        "stage" if !form.stage.is_empty() => Ok(RerunOrder { stages: vec![form.stage], ..order }),
        _ => Err(Problem::bad_request("`scope` is `all`, `failed`, or `stage` with a `stage`")),
    }
}
