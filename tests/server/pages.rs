//! Pages, as a browser without JavaScript asks for them.

#[path = "pages/asked.rs"]
mod asked;
#[path = "pages/entry.rs"]
mod entry;
#[path = "pages/forms.rs"]
mod forms;
#[path = "pages/links.rs"]
mod links;
#[path = "pages/home.rs"]
mod home;
#[path = "pages/last.rs"]
mod last;
#[path = "pages/reports.rs"]
mod reports;
#[path = "pages/runs.rs"]
mod runs;
#[path = "pages/artifacts.rs"]
mod artifacts;
#[path = "pages/stages.rs"]
mod stages;
#[path = "pages/settings.rs"]
mod settings;
#[path = "pages/traces.rs"]
mod traces;
#[path = "pages/trunk.rs"]
mod trunk;
#[path = "pages/account.rs"]
mod account;
#[path = "pages/admin.rs"]
mod admin;
#[path = "pages/spend.rs"]
mod spend;

use reqwest::{Method, RequestBuilder};

use crate::support::{Answer, PASSWORD, Server};

/// A browser in which somebody has signed in.
pub(crate) struct Browser<'a> {
    pub(crate) server: &'a Server,
    cookies: String,
    pub(crate) csrf: String,
}

impl<'a> Browser<'a> {
    pub(crate) async fn of(server: &'a Server, login: &str) -> Self {
        let answer = server.sign_in(login, PASSWORD).await;
        let csrf = answer.cookie("trunkline-csrf");
        let cookies = format!("trunkline={}; trunkline-csrf={csrf}", answer.cookie("trunkline"));
        Self { server, cookies, csrf }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        reads_pages(self.server, method, path).header("cookie", &self.cookies)
    }

    /// A page.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// A form of a page, sent with what proves that it is ours.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &self.csrf));
        self.post_as_is(path, &fields).await
    }

    /// A form with these fields and no other.
    pub(crate) async fn post_as_is(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path).header("origin", &self.server.url);
        send_form(request, fields).await
    }
}

/// A request of a browser that nobody has signed in with.
pub(crate) fn reads_pages(server: &Server, method: Method, path: &str) -> RequestBuilder {
    server.request(method, path).header("accept", "text/html,application/xhtml+xml")
}

pub(crate) async fn send_form(request: RequestBuilder, fields: &[(&str, &str)]) -> Answer {
    let encode = |it| percent_encoding::utf8_percent_encode(it, percent_encoding::NON_ALPHANUMERIC);
    let pairs: Vec<_> =
        fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    Answer::of(request.body(pairs.join("&")).send().await.unwrap()).await
}

/// A page that came, and what every page must be.
pub(crate) fn check_page(answer: &Answer) {
    assert!(answer.header("content-type").starts_with("text/html"), "{answer:?}");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for forbidden in ["<script>", " style=\"", " onclick=", "javascript:"] {
        assert!(!answer.text.contains(forbidden), "`{forbidden}` in {}", answer.text);
    }
    assert_eq!(answer.text.matches("<h1").count(), 1, "{}", answer.text);
}
