//! What forms of ours send.

use askama::Template;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::http::{App, Problem, ProblemKind, Visitor};
use crate::model::Digest;
use crate::ui::shell::{Visit, page};

/// A form that somebody who is signed in has sent from a page of ours, proved by its `csrf` field.
#[derive(Debug)]
pub(in crate::ui) struct Posted<T>(pub(in crate::ui) Visitor, pub(in crate::ui) T);

#[derive(serde::Deserialize)]
struct Proof {
    #[serde(default)]
    csrf: String,
}

/// The same, for what answers with a page instead of leading on.
#[derive(Debug)]
pub(in crate::ui) struct Sent<T>(pub(in crate::ui) Visit, pub(in crate::ui) T);

impl<T: DeserializeOwned + Send> FromRequest<App> for Posted<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, bytes) = proved(request, app).await?;
        let visitor =
            <Visitor as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, app)
                .await?;
        Ok(Self(visitor, read(&bytes)?))
    }
}

impl<T: DeserializeOwned + Send> FromRequest<App> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, bytes) = proved(request, app).await?;
        let visit = Visit::from_request_parts(&mut parts, app).await?;
        Ok(Self(visit, read(&bytes)?))
    }
}

/// The head of a request and its form, whose `csrf` field is shown as scripts show it, so that one place
/// judges both.
async fn proved(request: Request, app: &App) -> Result<(Parts, Bytes), Problem> {
    let (mut parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    let bytes = Bytes::from_request(request, app).await.map_err(|_| too_large())?;
    let proof: Proof = read(&bytes)?;
    let shown = HeaderValue::try_from(proof.csrf).map_err(|_| unreadable("its `csrf` field"))?;
    parts.headers.insert(HeaderName::from_static("x-csrf-token"), shown);
    Ok((parts, bytes))
}

/// A form of who is not signed in yet.
#[derive(Debug)]
pub(in crate::ui) struct Plain<T>(pub(in crate::ui) T);

impl<T: DeserializeOwned> FromRequest<App> for Plain<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        crate::http::SameOrigin::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts, body);
        let bytes = Bytes::from_request(request, app).await.map_err(|_| too_large())?;
        Ok(Self(read(&bytes)?))
    }
}

/// Fields by their names; several of one name become a sequence, as check boxes are sent.
fn read<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    if bytes.windows(3).any(|it| it == b"%00") {
        return Err(unreadable("it has a character with the number 0"));
    }
    serde_html_form::from_bytes(bytes).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(what: &str) -> Problem {
    Problem::bad_request(format!("the form cannot be read: {what}"))
        .with_help("Go back, load the page again, and send it once more.")
}

fn too_large() -> Problem {
    Problem::new(ProblemKind::TooLarge, "the form is larger than 1 MiB")
}

/// Leads on to a page of ours, as every form does that has worked.
pub(in crate::ui) fn onward(path: &str) -> Response {
    let location = HeaderValue::try_from(local(path));
    let location = location.unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

/// What is wrong with what somebody has typed, to be said beside the form; any other problem is a page.
pub(in crate::ui) fn mistake(problem: Problem) -> Result<String, Problem> {
    match problem.kind() {
        ProblemKind::BadRequest | ProblemKind::Conflict | ProblemKind::Refused => {
            let mut letters = problem.title().chars();
            let first = letters.next().map(char::to_uppercase);
            let title: String = first.into_iter().flatten().chain(letters).collect();
            let help = problem.help().map_or_else(String::new, |it| format!(" {it}"));
            Ok(format!("{}.{help}", title.trim_end_matches('.')))
        }
        ProblemKind::Unauthenticated
        | ProblemKind::Forbidden
        | ProblemKind::NotFound
        | ProblemKind::MethodNotAllowed
        | ProblemKind::PreconditionFailed
        | ProblemKind::TooLarge
        | ProblemKind::UnsupportedMedia
        | ProblemKind::RangeNotSatisfiable
        | ProblemKind::TooMany
        | ProblemKind::Internal
        | ProblemKind::Unavailable => Err(problem),
    }
}

/// A form once more, since something in it is wrong.
pub(in crate::ui) fn again(template: &impl Template) -> Result<Response, Problem> {
    let mut response = page(template)?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// Leads on to where it was said when it was done; else shows the form once more, with what is wrong.
pub(in crate::ui) async fn settle<T: Template, F>(
    done: Result<String, Problem>,
    shown: impl FnOnce(String) -> F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<T, Problem>>,
{
    match done {
        Ok(path) => Ok(onward(&path)),
        Err(problem) => again(&shown(mistake(problem)?).await?),
    }
}

/// What a form shows of what it changes, in short: it is sent with the form.
pub(in crate::ui) fn seen_of(shown: &impl std::fmt::Debug) -> String {
    Digest::of(format!("{shown:?}").as_bytes()).hex().to_owned()
}

/// A field of a form: what it is of, what was typed, and what is there now.
pub(in crate::ui) type Compared<'a> = (&'static str, &'a str, &'a str);

/// Refuses a form that would take back what somebody else has saved since its page was opened, and says what that is.
/// A form that was sent without what was `seen` has no page of ours.
pub(in crate::ui) fn check_seen(
    (seen, present): (&str, &str),
    fields: &[Compared<'_>],
) -> Result<(), Problem> {
    let others = fields.iter().filter(|(_, typed, now)| typed.trim() != now.trim());
    let others: Vec<_> = others.map(|(what, _, now)| format!("{what} {}", told(now))).collect();
    if seen.is_empty() || seen == present || others.is_empty() {
        return Ok(());
    }
    let title = "somebody else has changed these settings since you opened the page";
    let help = format!(
        "Nothing was saved, and what you typed is still here. What is there now: {}. Save once more to put yours in its \
         place.",
        others.join(", ")
    );
    Err(Problem::new(ProblemKind::Conflict, title).with_help(help))
}

/// A value in a sentence.
fn told(value: &str) -> String {
    let lines: Vec<_> = value.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
    if lines.is_empty() { "nothing".to_owned() } else { format!("`{}`", lines.join(" ")) }
}

/// A whole number that somebody has typed; an empty field is `None`.
pub(in crate::ui) fn number<T: std::str::FromStr>(
    text: &str,
    what: &str,
) -> Result<Option<T>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let bad = || Problem::bad_request(format!("{what} is a whole number"));
    text.parse().map(Some).map_err(|_| bad())
}

/// What stands on the lines of a text, or between its spaces.
pub(in crate::ui) fn listed(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A text of several lines as it was typed: browsers send other ends of lines.
pub(in crate::ui) fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// What stands for itself in every part of an address (RFC 3986, section 2.3), and what does not.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text with any letters as a part of an address.
pub(in crate::ui) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A path of this server; anything else becomes the home page.
pub(in crate::ui) fn local(path: &str) -> &str {
    let is_ours = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    let is_plain = path.bytes().all(|it| it.is_ascii_graphic());
    if is_ours && is_plain { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_would_take_back_what_they_have_not_seen_is_told_what_it_is() {
        let fields = [("trunk", "main", "main"), ("days", "30", ""), ("branches", "", "a\r\nb")];
        for (seen, is_told) in [("", false), ("new", false), ("old", true)] {
            assert_eq!(check_seen((seen, "new"), &fields).is_err(), is_told, "{seen}");
        }
        let help = check_seen(("old", "new"), &fields).unwrap_err().help().map(str::to_owned);
        let help = help.unwrap_or_default();
        assert!(help.contains("What is there now: days nothing, branches `a b`. Save"), "{help}");
        assert!(check_seen(("old", "new"), &[("trunk", " main", "main")]).is_ok());
    }

    #[test]
    fn only_paths_of_ours_are_led_to() {
        for path in ["/", "/runs/7?line=3", "/projects/shop/web"] {
            assert_eq!(local(path), path);
        }
        for path in
            ["", "//evil.example", "/\\evil", "https://evil", "/a b", "/a\nb", "javascript:1"]
        {
            assert_eq!(local(path), "/", "{path}");
        }
    }
}
