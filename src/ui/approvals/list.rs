//! `/approvals`: what waits for the one who looks.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::desk::approvals::stuck::{self, StuckApproval};
use crate::desk::approvals::{self, WaitingApproval};
use crate::http::{App, Page, PageQuery, Problem, Query, Visitor};
use crate::ui::live::{self, Audience, Part, Render};
use crate::ui::shell::{Section, Shell, Visit, page, part};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "approvals/list.html")]
struct ListPage {
    shell: Shell,
    words: Words,
    page: Page<WaitingApproval>,
    stuck: Vec<StuckApproval>,
}

#[derive(Template)]
#[template(path = "approvals/_waiting.html")]
struct WaitingPart<'a> {
    words: Words,
    page: &'a Page<WaitingApproval>,
    stuck: &'a [StuckApproval],
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let is_first = query.cursor.is_none();
    let waiting = approvals::list(&app, &visit.visitor, query).await?;
    let stuck = if is_first { stuck::list(&app, &visit.visitor).await? } else { Vec::new() };
    let shell = visit.shell(Section::Approvals, "Approvals");
    page(&ListPage { shell, words: visit.words(), page: waiting, stuck })
}

pub(super) async fn watch(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor) = (of_parts.clone(), who.clone());
        Box::pin(async move {
            let page = approvals::list(&app, &visitor, PageQuery::default()).await?;
            let stuck = stuck::list(&app, &visitor).await?;
            let words = Words::at(app.now());
            let html = part(&WaitingPart { words, page: &page, stuck: &stuck })?;
            Ok(vec![Part { id: "waiting", html }])
        })
    });
    let views = vec![(Audience::One, "approvals".to_owned(), render)];
    live::stream_of_many(&app, &visitor, views)
}
