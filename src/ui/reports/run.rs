//! `/runs/{run}/reports`: the tests, gates and findings of a run.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::cases::{self, StageTests};
use super::findings::{self, FoundRule};
use super::gates::{self, SeenGate};
use crate::desk::reports::{self, RunReports};
use crate::http::{App, Path, Problem, Visitor};
use crate::runs::view::RunView;
use crate::ui::above::AboveRun;
use crate::ui::live::{self, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "reports/run.html")]
struct ReportsPage {
    shell: Shell,
    above: AboveRun,
    /// Path of the run.
    path: String,
    tab: &'static str,
    parts: Vec<Part>,
}

#[derive(Template)]
#[template(path = "reports/_run.html")]
struct ReportsPart {
    words: Words,
    is_finished: bool,
    tests: Vec<StageTests>,
    gates: Vec<SeenGate>,
    rules: Vec<FoundRule>,
    levels: [(&'static str, usize); 3],
    left_out: u64,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let found = reports::show(&app, &visit.visitor, &run).await?;
    let row = &found.loaded.row;
    let title = format!("Reports of {} #{}", row.pipeline, row.number);
    page(&ReportsPage {
        shell: visit.shell(Section::Runs, title),
        path: format!("/runs/{}", row.id.0),
        above: AboveRun::of(row),
        tab: "reports",
        parts: parts(&found, visit.words())?,
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
) -> Result<Response, Problem> {
    let id = reports::show(&app, &visitor, &run).await?.loaded.row.id;
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor, run) = (of_parts.clone(), who.clone(), run.clone());
        Box::pin(async move {
            let found = reports::show(&app, &visitor, &run).await?;
            parts(&found, Words::at(app.now()))
        })
    });
    live::stream(&app, &visitor, id, render)
}

fn parts(found: &RunReports, words: Words) -> Result<Vec<Part>, Problem> {
    let view = RunView::of(&found.loaded, words.now());
    let html = part(&ReportsPart {
        words,
        is_finished: view.status.is_finished(),
        tests: cases::by_stage(&view, &found.cases),
        gates: gates::of_run(&view, &found.gates),
        rules: findings::by_rule(&found.findings),
        levels: findings::levels(&found.findings),
        left_out: found.left_out,
    })?;
    Ok(vec![Part { id: "reports", html }])
}
