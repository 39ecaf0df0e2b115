//! What surrounds every page: who is signed in, where one is, and where one can go.

pub(super) mod assets;
pub(super) mod markup;
pub(super) mod words;
pub(super) mod above;
pub(super) mod form;
pub(super) mod live;
pub(super) mod fault;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};

use crate::http::{App, Cookies, Problem, Visitor, theme};
use words::Words;

/// What a page may load and do; no script or style inside of it, nothing from elsewhere.
pub(super) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);

/// The part of the site that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Home,
    Runs,
    Approvals,
    Traces,
    Spend,
    Account,
    Server,
    /// Belongs to none of them.
    Elsewhere,
}

/// What `base.html` wants to know. Every page has one as `shell`.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    /// Of the window.
    pub(super) title: String,
    section: Section,
    /// Who is signed in.
    pub(super) me: Option<Me>,
    /// What forms repeat as `csrf`.
    pub(super) csrf: String,
    /// Path and query of this page, to come back to.
    pub(super) here: String,
    /// `light`, `dark`, or empty for what the system says.
    pub(super) theme: &'static str,
    /// What was just done, from a fixed list.
    pub(super) done: Option<&'static str>,
    /// How things are worded.
    pub(super) words: Words,
}

#[derive(Debug, Clone)]
pub(super) struct Me {
    pub(super) login: String,
    pub(super) is_owner: bool,
}

impl Section {
    /// That of a page which could not be made, by its address.
    fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("" | "projects" | "teams") => Self::Home,
            Some("runs") => Self::Runs,
            Some("approvals") => Self::Approvals,
            Some("traces") => Self::Traces,
            Some("spend" | "budgets" | "new-budget") => Self::Spend,
            Some("account") => Self::Account,
            Some("admin") => Self::Server,
            _ => Self::Elsewhere,
        }
    }
}

impl Shell {
    pub(super) fn is_in(&self, section: &str) -> bool {
        let name = match self.section {
            Section::Home => "home",
            Section::Runs => "runs",
            Section::Approvals => "approvals",
            Section::Traces => "traces",
            Section::Spend => "spend",
            Section::Account => "account",
            Section::Server => "server",
            Section::Elsewhere => "",
        };
        name == section
    }

    #[expect(clippy::unused_self, reason = "templates call it so")]
    pub(super) fn asset(&self, name: &str) -> String {
        assets::path(name)
    }

    /// What a form has that makes something which is shown once: sent again, it makes nothing.
    pub(super) fn once(&self) -> String {
        crate::secrets::new_id(self.words.now())
    }

    /// The version of this server.
    #[expect(clippy::unused_self, reason = "templates call it so")]
    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The same without what was just done, where that is over: the page tells what came of it.
    pub(super) fn unless_over(self, is_over: bool) -> Self {
        let done = self.done.filter(|_| !is_over);
        Self { done, ..self }
    }

    /// Around a page for who is not signed in.
    pub(super) fn of_nobody(title: &str, words: Words) -> Self {
        Self {
            title: title.to_owned(),
            section: Section::Elsewhere,
            me: None,
            csrf: String::new(),
            here: "/".to_owned(),
            theme: "",
            done: None,
            words,
        }
    }
}

/// Somebody who looks at a page.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    /// Who.
    pub(super) visitor: Visitor,
    csrf: String,
    here: String,
    pub(super) theme: &'static str,
    done: Option<&'static str>,
    words: Words,
}

impl Visit {
    /// What surrounds their page.
    pub(super) fn shell(&self, section: Section, title: impl Into<String>) -> Shell {
        let caller = &self.visitor.0;
        Shell {
            title: title.into(),
            section,
            me: Some(Me { login: caller.login.clone(), is_owner: caller.may_own() }),
            csrf: self.csrf.clone(),
            here: self.here.clone(),
            theme: self.theme,
            done: self.done,
            words: self.words,
        }
    }

    /// How things are worded.
    pub(super) fn words(&self) -> Words {
        self.words
    }

    /// Who has sent a request that led to no page, whatever its method was and whether it was ours; `None`
    /// when that is nobody, or cannot be known now.
    async fn behind((uri, headers): (&Uri, &HeaderMap), app: &App) -> Option<Self> {
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        let visit = Self::from_request_parts(&mut request.into_parts().0, app).await.ok()?;
        Some(Self { done: None, ..visit })
    }
}

impl FromRequestParts<App> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let visitor = <Visitor as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        let cookies = Cookies::new(app.auth.settings().is_https());
        Ok(Self {
            visitor,
            csrf: cookies.csrf(&parts.headers).unwrap_or_default().to_owned(),
            here: here(&parts.uri),
            theme: theme(&parts.headers),
            done: parts.uri.query().and_then(done),
            words: Words::at(app.now()),
        })
    }
}

/// Path and query, without what was just done: who comes back does so later.
fn here(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default();
    let kept: Vec<_> =
        query.split('&').filter(|it| !it.is_empty() && !it.starts_with("done=")).collect();
    let path = uri.path();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Parameters that every page knows.
pub(super) const EVERYWHERE: &[&str] = &["done"];

/// What `?done=` says was done. Only sentences of ours are shown.
fn done(query: &str) -> Option<&'static str> {
    let word = query.split('&').find_map(|it| it.strip_prefix("done="))?;
    let known = [
        ("set-up", "This server is yours. Next: a team and a project."),
        ("approved", "Your approval is recorded."),
        ("rejected", "Your rejection is recorded."),
        ("cancelled", "You cancelled the run."),
        ("rerun", "You asked for the stages to run again."),
        ("started", "You asked for this run."),
        ("created", "Created."),
        ("saved", "Saved."),
        (
            "password",
            "Your password is changed. Where else you were signed in, you are not any more.",
        ),
        ("removed", "Removed."),
        ("archived", "Archived: what was run stays, and nothing new starts."),
        ("restored", "It is back: new changes start runs again."),
        ("replayed", "You asked for the delivery to be processed once more."),
        ("revoked", "Revoked."),
        ("sent", "A test is on its way."),
        ("draining", "You asked it to take nothing new: what runs there ends."),
        ("undrained", "You asked it to take runs again."),
        ("looked", "You asked for a look at the remote."),
    ];
    known.iter().find(|(name, _)| *name == word).map(|(_, sentence)| *sentence)
}

/// A page as an answer.
pub(super) fn page(template: &impl Template) -> Result<Response, Problem> {
    let html = template.render().map_err(|it| Problem::internal(&it))?;
    let mut response = Html(html).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}

/// A part of a page as text.
pub(super) fn part(template: &impl Template) -> Result<String, Problem> {
    template.render().map_err(|it| Problem::internal(&it))
}

/// Whether the browser says that another site has led it here: it sends no strict cookies then.
pub(super) fn is_led_by_others(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|it| it.to_str().ok());
    matches!(site, Some("cross-site" | "same-site"))
}
