//! Problems, as those who read pages see them.

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::http::{Problem, ProblemKind};
use crate::model::Timestamp;
use crate::ui::entry::RESUME;
use crate::ui::shell::{self, Shell};
use crate::ui::words::Words;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    shell: Shell,
    status: u16,
    title: &'a str,
    help: &'a str,
    next: Exit,
}

/// What a person can do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    SignIn,
    Home,
    Back,
}

/// The layer that turns problems into pages. Programs get them as they are.
pub(in crate::ui) async fn show(request: Request, next: Next) -> Response {
    let is_page = reads_pages(request.headers()) && !request.uri().path().starts_with("/api/");
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let here = request.uri().path_and_query().map_or("/", |it| it.as_str()).to_owned();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>().filter(|_| is_page) else {
        return response;
    };
    if problem.kind() == ProblemKind::Unauthenticated && method == Method::GET {
        return lead_in(&headers, &here);
    }
    let page = page(&problem, response.status(), &method);
    page.unwrap_or(response)
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
    let path = utf8_percent_encode(here, NON_ALPHANUMERIC);
    let to = HeaderValue::try_from(format!("{RESUME}?return_to={path}"));
    let to = to.unwrap_or_else(|_| HeaderValue::from_static("/sign-in"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

fn page(problem: &Problem, status: StatusCode, method: &Method) -> Option<Response> {
    let next = if problem.kind() == ProblemKind::Unauthenticated {
        Exit::SignIn
    } else if *method == Method::GET {
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
    let words = Words::at(Timestamp(0));
    let shell = Shell::of_nobody("Something is in the way", words);
    let page = ProblemPage { shell, status: status.as_u16(), title: problem.title(), help, next };
    let mut response = shell::page(&page).ok()?;
    *response.status_mut() = status;
    Some(response)
}
