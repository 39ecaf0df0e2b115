//! `/runs`: runs by filters that stand in the address.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::encoded;
use crate::desk::projects::remote::BrokenTrunk;
use crate::desk::runs::{self, RunsQuery};
use crate::desk::{overview, projects, teams};
use crate::http::{App, Page, PageQuery, Problem, ProblemKind, Query, Visitor};
use crate::model::Role;
use crate::pipeline::EVENTS;
use crate::store::access::projects::ProjectRow;
use crate::store::access::teams::TeamRow;
use crate::store::runs::RunRow;
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::places::path_of;
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

/// Runs that have ended so, and on this page those that will, as they have failed already.
const FAILED: &str = "failed";

/// Statuses that people ask for at once, and their names.
const CHOICES: [(&str, &str); 6] = [
    ("", "All"),
    ("queued,running,waiting,cancelling", "Active"),
    ("waiting", "Waiting"),
    (FAILED, "Failed"),
    ("passed", "Passed"),
    ("cancelled", "Cancelled"),
];

/// Projects that are offered.
const PROJECTS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "runs/list.html")]
struct ListPage {
    shell: Shell,
    query: RunsQuery,
    /// The only project whose runs are shown, and its path.
    project: Option<ProjectRow>,
    path: String,
    tab: &'static str,
    /// The list itself.
    list: String,
    choices: Vec<Choice>,
    /// What one can choose from.
    teams: Vec<TeamRow>,
    projects: Vec<String>,
    /// Path and query of what keeps the page true.
    live: String,
}

/// A link to the same list with another status.
struct Choice {
    name: &'static str,
    href: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "runs/_list.html")]
struct ListPart<'a> {
    words: Words,
    rows: &'a [RunRow],
    /// Trunks whose newest push could not be read, on the first page.
    broken: Vec<(ProjectRow, BrokenTrunk)>,
    /// Whether anything is left out by a filter.
    is_filtered: bool,
    /// Whether there is nothing that this person may see.
    in_no_team: bool,
    /// The same list from the newest on, where it begins with others; and the next page of it.
    first: Option<String>,
    next: Option<String>,
    shows_project: bool,
}

impl ListPage {
    fn is_event(&self, event: &str) -> bool {
        self.query.event.as_deref() == Some(event)
    }

    fn is_team(&self, team: &str) -> bool {
        self.query.team.as_deref() == Some(team)
    }
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<RunsQuery>,
    Query(page_query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let query = cleaned(query);
    let projects = overview::visible(&app, &visit.visitor).await?;
    let list = render(&app, &visit.visitor, (&query, &page_query), &projects).await?;
    let cursor = page_query.cursor.as_deref().map(|it| ("cursor", it));
    let only = match &query.project {
        Some(slug) => projects::find(&app, &visit.visitor, slug).await.ok(),
        None => None,
    };
    let title = only.as_ref().map_or_else(String::new, |it| format!(" of {}", it.slug()));
    let teams = teams::list(&app, &visit.visitor, Role::Viewer).await?;
    let choices = CHOICES.into_iter().map(|(status, name)| {
        let with = RunsQuery { status: some(status), ..query.clone() };
        let is_chosen = query.status.as_deref().unwrap_or_default() == status;
        Choice { name, href: address("/runs", &with, None), is_chosen }
    });
    page(&ListPage {
        shell: visit.shell(Section::Runs, format!("Runs{title}")),
        path: only.as_ref().map(path_of).unwrap_or_default(),
        project: only,
        tab: "runs",
        list,
        choices: choices.collect(),
        teams,
        projects: projects.iter().take(PROJECTS_MAX).map(ProjectRow::slug).collect(),
        live: address("/live/runs", &query, cursor),
        query,
    })
}

pub(super) async fn watch(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<RunsQuery>,
    Query(page_query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let (of_parts, who, query) = (app.clone(), visitor.clone(), cleaned(query));
    let name = format!("runs {query:?} {page_query:?}");
    let make: Render = Box::new(move || {
        let (app, visitor) = (of_parts.clone(), who.clone());
        let (query, page_query) = (query.clone(), page_query.clone());
        Box::pin(async move {
            let projects = overview::visible(&app, &visitor).await?;
            let html = render(&app, &visitor, (&query, &page_query), &projects).await?;
            Ok(vec![Part { id: "list", html }])
        })
    });
    live::stream_of_many(&app, &visitor, vec![(Audience::Alike, name, make)])
}

async fn render(
    app: &App,
    visitor: &Visitor,
    (query, page_query): (&RunsQuery, &PageQuery),
    projects: &[ProjectRow],
) -> Result<String, Problem> {
    let is_first = page_query.cursor.is_none();
    let (asked, page_asked) = (query.clone(), page_query.clone());
    let found = if query.status.as_deref() == Some(FAILED) {
        runs::list_with_failing(app, visitor, asked, page_asked).await
    } else {
        runs::list(app, visitor, asked, page_asked).await
    };
    let found = match found {
        // A project or team that is not there has no runs: who has mistyped it sees their filters.
        Err(problem) if problem.kind() == ProblemKind::NotFound => {
            Page { items: Vec::new(), next: None }
        }
        found => found?,
    };
    let Page { items, next } = found;
    let broken =
        if is_first { runs::broken_trunks(app, projects, query).await? } else { Vec::new() };
    part(&ListPart {
        words: Words::at(app.now()),
        rows: &items,
        broken,
        is_filtered: *query != RunsQuery::default(),
        in_no_team: visitor.0.teams_as(Role::Viewer).is_some_and(|it| it.is_empty()),
        first: (!is_first).then(|| address("/runs", query, None)),
        next: next.map(|it| address("/runs", query, Some(("cursor", &it)))),
        shows_project: query.project.is_none(),
    })
}

/// What a form leaves empty is no filter.
fn cleaned(query: RunsQuery) -> RunsQuery {
    let clean = |it: Option<String>| it.as_deref().map(str::trim).and_then(some);
    RunsQuery {
        project: clean(query.project),
        team: clean(query.team),
        pipeline: clean(query.pipeline),
        branch: clean(query.branch),
        event: clean(query.event),
        revision: clean(query.revision),
        status: clean(query.status),
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The address of a list.
pub(super) fn address(path: &str, query: &RunsQuery, more: Option<(&str, &str)>) -> String {
    let fields = [
        ("project", query.project.as_deref()),
        ("team", query.team.as_deref()),
        ("pipeline", query.pipeline.as_deref()),
        ("branch", query.branch.as_deref()),
        ("event", query.event.as_deref()),
        ("revision", query.revision.as_deref()),
        ("status", query.status.as_deref()),
    ];
    let set = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let pairs: Vec<_> =
        set.chain(more).map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_stand_in_the_address_and_empty_ones_do_not() {
        let query = RunsQuery {
            project: Some(" shop/web ".to_owned()),
            branch: Some(String::new()),
            status: Some("failed".to_owned()),
            ..RunsQuery::default()
        };
        let query = cleaned(query);
        assert_eq!(address("/runs", &query, None), "/runs?project=shop%2Fweb&status=failed");
        assert_eq!(address("/runs", &RunsQuery::default(), None), "/runs");
    }
}
