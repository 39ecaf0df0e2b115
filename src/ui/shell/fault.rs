//! Problems, as those who read pages see them.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::http::{App, Problem, ProblemKind, RequestId, SameOrigin, theme};
use crate::ui::entry::{self, RESUME};
use crate::ui::form::{local, onward};
use crate::ui::shell::{self, Section, Shell, Visit};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    shell: Shell,
    status: u16,
    title: &'a str,
    help: &'a str,
    next: Exit<'a>,
    /// What names the request in the server's log, where the fault is ours.
    id: Option<String>,
}

/// What a person can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit<'a> {
    /// And come back to this path.
    SignIn(&'a str),
    Home,
    /// To the page that the form stands on.
    Back(&'a str),
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
    let path = request.uri().path();
    let is_page = reads_pages(request.headers()) && (path == RESUME || !path.starts_with("/api/"));
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
    if problem.kind() == ProblemKind::Unauthenticated && failed.uri.path() != RESUME {
        let here = failed.here();
        if failed.method == Method::GET {
            return lead_in(&failed.headers, here);
        }
        if failed.method == Method::POST && SameOrigin::is_proved(&failed.headers, &app) {
            return entry::once_more(&entry::by_way(here));
        }
    }
    if problem.kind() == ProblemKind::MethodNotAllowed && failed.method == Method::GET {
        return onward(&form_page(failed.uri.path()));
    }
    let shell = failed.shell(&app).await;
    let page = page(&problem, (shell, &failed), response.status());
    page.unwrap_or(response)
}

impl Failed {
    /// Path and query.
    fn here(&self) -> &str {
        self.uri.path_and_query().map_or("/", |it| it.as_str())
    }

    /// Where somebody goes who has signed in: where a form was sent to leads on to its page.
    fn back(&self) -> String {
        if self.uri.path() != RESUME {
            return self.here().to_owned();
        }
        let query = self.uri.query().unwrap_or_default();
        let way: std::collections::BTreeMap<String, String> =
            serde_html_form::from_str(query).unwrap_or_default();
        local(way.get("return_to").map_or("/", String::as_str)).to_owned()
    }

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

/// The page with the form that is sent to this address: above it, and above what the form is about where that has no
/// page of its own.
fn form_page(path: &str) -> Cow<'_, str> {
    let above = |path: &str, levels: usize| {
        path.rmatch_indices('/').nth(levels - 1).map_or(0, |(at, _)| at)
    };
    let levels = match path.rsplit('/').collect::<Vec<_>>().as_slice() {
        ["remove", _, "members", ..] => 3,
        ["revoke" | "end" | "rotate", ..] => 2,
        _ => 1,
    };
    match path.get(..above(path, levels)) {
        None | Some("") => "/".into(),
        Some(stage) if path.ends_with("/approve") || path.ends_with("/reject") => {
            format!("{stage}/approval").into()
        }
        Some(page) => page.into(),
    }
}

/// Nobody is known. Behind a link on another site the cookies were not sent: a page of ours asks again, and
/// then they are. Else the session is to be gone on with, or begun.
fn lead_in(headers: &HeaderMap, here: &str) -> Response {
    if shell::is_led_by_others(headers) {
        return entry::again(here);
    }
    let to = HeaderValue::try_from(entry::by_way(here));
    let to = to.unwrap_or_else(|_| HeaderValue::from_static("/sign-in"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

fn page(
    problem: &Problem,
    (shell, failed): (Shell, &Failed),
    status: StatusCode,
) -> Option<Response> {
    let (back, form) = (failed.back(), form_page(failed.uri.path()));
    let next = if problem.kind() == ProblemKind::Unauthenticated {
        Exit::SignIn(&back)
    } else if failed.method == Method::GET {
        Exit::Home
    } else {
        Exit::Back(&form)
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
    if let Some(seconds) = problem.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_its_page() {
        for (sent_to, page) in [
            ("/look", "/"),
            ("/account/password", "/account"),
            ("/runs/01k/stages/ok/approve", "/runs/01k/stages/ok/approval"),
            ("/runs/01k/stages/ok/reject", "/runs/01k/stages/ok/approval"),
            ("/runs/01k/stages/approve/reject", "/runs/01k/stages/approve/approval"),
            ("/account/tokens/01k/revoke", "/account/tokens"),
            ("/teams/shop/settings/members", "/teams/shop/settings"),
            ("/teams/shop/settings/members/bob/remove", "/teams/shop/settings"),
            ("/teams/shop/settings/keys/app/rotate", "/teams/shop/settings/keys"),
            ("/projects/shop/web/settings/access/remove", "/projects/shop/web/settings/access"),
        ] {
            assert_eq!(form_page(sent_to), page, "{sent_to}");
        }
    }
}
