//! `/runs/{run}`: where a run stands, why it failed, what it waits for, its graph and its stages.

use std::collections::BTreeSet;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::graph::RunGraph;
use super::table::{self, StageRow};
use super::told::Spend;
use super::trouble::Trouble;
use super::waits::{self, Wait};
use super::{encoded, path_of, told};
use crate::approvals::Changes;
use crate::desk::approvals::stuck;
use crate::desk::runs::{self, Deed, SeenRun};
use crate::engine::RerunScope;
use crate::http::{App, Path, Problem, Query, Visitor};
use crate::model::{StageIndex, StageStatus};
use crate::runs::view::StageView;
use crate::store::runs::RunRow;
use crate::ui::above::AboveRun;
use crate::ui::live::{self, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::{self, Words};

/// So long the page waits for what a run brings; behind its link there is time for it.
const CHANGES_WAIT: Duration = Duration::from_millis(20);

/// What stands in the address.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(super) struct ShowQuery {
    /// Names of matrices that are shown cell by cell, separated by commas.
    #[serde(default)]
    unfold: String,
}

#[derive(Template)]
#[template(path = "runs/show.html")]
struct RunPage {
    shell: Shell,
    above: AboveRun,
    path: String,
    tab: &'static str,
    live: String,
    parts: Vec<Part>,
    /// What it brings, where that is quickly known.
    changes: Option<Changes>,
}

#[derive(Template)]
#[template(path = "runs/_head.html")]
struct HeadPart<'a> {
    words: Words,
    seen: &'a SeenRun,
    cause: String,
    inputs: Vec<(String, String)>,
    deeds: Vec<(Deed, String)>,
    money: Vec<(String, String, String)>,
    spend: Option<Spend>,
    is_finished: bool,
    waits: Vec<Wait>,
    /// Its place among runs that no worker has taken.
    position: Option<usize>,
}

#[derive(Template)]
#[template(path = "runs/_trouble.html")]
struct TroublePart {
    words: Words,
    trouble: Trouble,
}

#[derive(Template)]
#[template(path = "runs/_actions.html")]
struct ActionsPart<'a> {
    seen: &'a SeenRun,
    path: &'a str,
    running: usize,
    /// How the run ends when it is cancelled.
    end: &'static str,
    /// What running everything, or what failed, again would do.
    rerun_all: Option<String>,
    rerun_failed: Option<String>,
    /// Whether a budget of the run itself is used up, which it would still be then.
    is_over_budget: bool,
}

#[derive(Template)]
#[template(path = "runs/_graph.html")]
struct GraphPart<'a> {
    words: Words,
    graph: &'a RunGraph,
}

#[derive(Template)]
#[template(path = "runs/_stages.html")]
struct StagesPart {
    words: Words,
    rows: Vec<StageRow>,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(run): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Response, Problem> {
    let seen = SeenRun::find(&app, &visit.visitor, &run).await?;
    let unfolded = unfolded(&query);
    let parts = parts(&app, &seen, &unfolded).await?;
    let changes = tokio::time::timeout(CHANGES_WAIT, seen.changes(&app)).await;
    let path = path_of(&seen.view.id);
    let stands = words::stand(seen.view.status, seen.loaded.run.failed_stages().count());
    let title = format!("{} #{}: {stands}", seen.view.pipeline, seen.view.number);
    page(&RunPage {
        shell: visit.shell(Section::Runs, title).unless_over(seen.view.status.is_finished()),
        live: format!("/live{path}?unfold={}", encoded(&query.unfold)),
        tab: "overview",
        above: AboveRun::of(&seen.loaded.row),
        path,
        parts,
        changes: changes.ok().and_then(Result::ok),
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Response, Problem> {
    let id = runs::find(&app, &visitor, &run, crate::model::Role::Viewer).await?.id;
    let (of_parts, who, wanted) = (app.clone(), visitor.clone(), id.0.clone());
    let unfolded = unfolded(&query);
    let render: Render = Box::new(move || {
        let (app, visitor, run) = (of_parts.clone(), who.clone(), wanted.clone());
        let unfolded = unfolded.clone();
        Box::pin(async move {
            let seen = SeenRun::find(&app, &visitor, &run).await?;
            parts(&app, &seen, &unfolded).await
        })
    });
    live::stream(&app, &visitor, id, render)
}

fn unfolded(query: &ShowQuery) -> BTreeSet<String> {
    let names = query.unfold.split(',').map(str::trim).filter(|it| !it.is_empty());
    names.map(str::to_owned).collect()
}

/// Everything that changes while one looks.
async fn parts(
    app: &App,
    seen: &SeenRun,
    unfolded: &BTreeSet<String>,
) -> Result<Vec<Part>, Problem> {
    let (path, words) = (path_of(&seen.view.id), Words::at(app.now()));
    let trouble = Trouble::of(seen, &path, seen.tails(app).await?);
    let graph = RunGraph::new(seen.loaded.run.plan(), &seen.view, (&path, unfolded));
    let critical = graph.critical.as_ref().map(|it| it.keys.as_slice()).unwrap_or_default();
    let rows = table::rows(seen, &path, critical);
    Ok(vec![
        Part { id: "head", html: head(app, seen, &path).await? },
        Part { id: "actions", html: part(&actions(app, seen, &path))? },
        Part { id: "trouble", html: part(&TroublePart { words, trouble })? },
        Part { id: "graph", html: part(&GraphPart { words, graph: &graph })? },
        Part { id: "stages", html: part(&StagesPart { words, rows })? },
    ])
}

async fn head(app: &App, seen: &SeenRun, path: &str) -> Result<String, Problem> {
    let queued = seen.waits(app).await?;
    let stuck = stuck::of_run(app, &seen.loaded).await?;
    let starter = seen.starter(app).await?;
    let spent = runs::spend(app, &seen.loaded.row).await?;
    let deeds = seen.deeds().into_iter().map(|it| {
        let text = told::deed(&it, &seen.view);
        (it, text)
    });
    part(&HeadPart {
        words: Words::at(app.now()),
        seen,
        cause: told::cause(seen, starter.as_deref()),
        inputs: told::inputs(seen.loaded.run.context()),
        deeds: deeds.collect(),
        money: told::money(&seen.view),
        spend: Spend::of(&spent, &seen.view.id.0),
        is_finished: seen.view.status.is_finished(),
        waits: waits::of(&queued, path, (seen.loaded.run.plan(), &stuck)),
        position: queued.position,
    })
}

fn actions<'a>(app: &App, seen: &'a SeenRun, path: &'a str) -> ActionsPart<'a> {
    let again = |scope: RerunScope| {
        let stages: Vec<StageIndex> = runs::rerun_stages(app, &seen.loaded, scope).ok()?;
        Some(told::rerun(&seen.view, &stages))
    };
    let is_running = |it: &&StageView| it.status == StageStatus::Running;
    ActionsPart {
        seen,
        path,
        running: seen.view.stages.iter().filter(is_running).count(),
        end: if seen.loaded.run.failed_stages().next().is_some() { "failed" } else { "cancelled" },
        rerun_all: again(RerunScope::All),
        rerun_failed: again(RerunScope::Failed),
        is_over_budget: seen.view.stages.iter().any(StageView::is_over_own_budget),
    }
}

impl StagesPart {
    fn has_retries(&self) -> bool {
        self.rows.iter().any(|it| it.attempts > 1)
    }

    fn has_gates(&self) -> bool {
        self.rows.iter().any(|it| it.gates.1 > 0)
    }

    fn may_rerun(&self) -> bool {
        self.rows.iter().any(|it| it.rerun.is_some())
    }
}

impl HeadPart<'_> {
    fn row(&self) -> &RunRow {
        &self.seen.loaded.row
    }

    fn failed_stages(&self) -> usize {
        self.seen.loaded.run.failed_stages().count()
    }

    fn author(&self) -> &str {
        &self.seen.loaded.run.context().git.author
    }

    /// Approvals that let the run go on though nobody has given them.
    fn undecided(&self) -> impl Iterator<Item = &StageView> {
        let is_meant = |it: &&StageView| it.undecided && it.status == StageStatus::Passed;
        self.seen.view.stages.iter().filter(is_meant)
    }
}
