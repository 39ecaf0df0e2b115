//! Problems, as those who read pages see them.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::http::{App, Problem, ProblemKind, RequestId, theme};
use crate::ui::entry::RESUME;
use crate::ui::form::encoded;
use crate::ui::shell::{self, Section, Shell, Visit};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    shell: Shell,
    status: u16,
    title: &'a str,
    help: &'a str,
    next: Exit,
    /// What names the request in the server's log, where the fault is ours.
    id: Option<String>,
}

/// What a person can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    SignIn,
    Home,
    Back,
}

/// A request that led to no page.
struct Failed {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    id: Option<String>,
}

/// The layer that turns problems into pages. Programs get them as they are.
pub(in crate::ui) async fn show(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_page = reads_pages(request.headers()) && !request.uri().path().starts_with("/api/");
    let failed = Failed {
        method: request.method().clone(),
        uri: request.uri().clone(),
        headers: request.headers().clone(),
        id: request.extensions().get::<RequestId>().map(|it| it.0.clone()),
    };
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>().filter(|_| is_page) else {
        return response;
    };
    if problem.kind() == ProblemKind::Unauthenticated && failed.method == Method::GET {
        let here = failed.uri.path_and_query().map_or("/", |it| it.as_str());
        return lead_in(&failed.headers, here);
    }
    let shell = failed.shell(&app).await;
    let page = page(&problem, (shell, &failed), response.status());
    page.unwrap_or(response)
}

impl Failed {
    /// What surrounds the page: for somebody who is signed in, as everywhere.
    async fn shell(&self, app: &App) -> Shell {
        // Where a form was sent to, nobody can come back to.
        let here = if self.method == Method::GET { self.uri.clone() } else { Uri::default() };
        let title = "Something is in the way";
        match Visit::behind((&here, &self.headers), app).await {
            Some(visit) => visit.shell(Section::of(self.uri.path()), title),
            None => Shell {
                theme: theme(&self.headers),
                ..Shell::of_nobody(title, Words::at(app.now()))
            },
        }
    }
}

fn reads_pages(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    accept.is_some_and(|it| it.contains("text/html"))
}

/// Nobody is known. Behind a link on another site the cookies were not sent: a page of ours asks again, and
/// then they are. Else the session is to be gone on with, or begun.
fn lead_in(headers: &HeaderMap, here: &str) -> Response {
    if shell::is_led_by_others(headers) {
        return crate::ui::entry::again(here);
    }
    let path = encoded(here);
    let to = HeaderValue::try_from(format!("{RESUME}?return_to={path}"));
    let to = to.unwrap_or_else(|_| HeaderValue::from_static("/sign-in"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

fn page(
    problem: &Problem,
    (shell, failed): (Shell, &Failed),
    status: StatusCode,
) -> Option<Response> {
    let next = if problem.kind() == ProblemKind::Unauthenticated {
        Exit::SignIn
    } else if failed.method == Method::GET {
        Exit::Home
    } else {
        Exit::Back
    };
    let help = match (problem.kind(), problem.help()) {
        // What the problem says is for programs.
        (ProblemKind::Unauthenticated, _) => {
            "You were signed out in the meantime. Nothing was done."
        }
        (ProblemKind::NotFound, None) => {
            "It may have been removed, or you may not see it. Ask an admin of the team."
        }
        (_, help) => help.unwrap_or_default(),
    };
    let page = ProblemPage {
        shell,
        status: status.as_u16(),
        title: problem.title(),
        help,
        next,
        id: failed.id.clone().filter(|_| status.is_server_error()),
    };
    let mut response = shell::page(&page).ok()?;
    *response.status_mut() = status;
    Some(response)
}
