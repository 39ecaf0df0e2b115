//! `/approvals`: what waits for the one who looks.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

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
}

#[derive(Template)]
#[template(path = "approvals/_waiting.html")]
struct WaitingPart<'a> {
    words: Words,
    page: &'a Page<WaitingApproval>,
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<PageQuery>,
) -> Result<Response, Problem> {
    let waiting = approvals::list(&app, &visit.visitor, query).await?;
    let shell = visit.shell(Section::Approvals, "Approvals");
    page(&ListPage { shell, words: visit.words(), page: waiting })
}

pub(super) async fn watch(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let (of_parts, who) = (app.clone(), visitor.clone());
    let render: Render = Box::new(move || {
        let (app, visitor) = (of_parts.clone(), who.clone());
        Box::pin(async move {
            let page = approvals::list(&app, &visitor, PageQuery::default()).await?;
            let html = part(&WaitingPart { words: Words::at(app.now()), page: &page })?;
            Ok(vec![Part { id: "waiting", html }])
        })
    });
    let views = vec![(Audience::One, "approvals".to_owned(), render)];
    live::stream_of_many(&app, &visitor, views)
}
