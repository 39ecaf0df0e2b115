//! What a browser asks for when somebody looks at a page.

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, COOKIE, SET_COOKIE};
use reqwest::{Method, RequestBuilder};

use super::load::{self, Pace};
use super::past::{Past, run_id};
use super::process::{PASSWORD, Server};

const PER_SECOND: f64 = 20.0;

/// A page: its name, and its path for the n-th time.
struct Page {
    name: &'static str,
    path: fn(u64, u64) -> String,
}

const PAGES: [Page; 12] = [
    Page { name: "home", path: |_, _| "/".to_owned() },
    Page { name: "runs, newest", path: |_, _| "/runs".to_owned() },
    Page {
        name: "failed runs of a project",
        path: |n, _| format!("/runs?project=team-{}/project-{}&status=failed", n % 20, n % 200),
    },
    Page {
        name: "runs of a project and branch",
        path: |n, _| {
            format!("/runs?project=team-{}/project-{}&branch=feature-{}", n % 20, n % 200, n % 19)
        },
    },
    Page {
        name: "runs, a page far back",
        path: |n, runs| format!("/runs?cursor={}", run_id(1 + n * 7919 % runs)),
    },
    Page { name: "a run", path: |n, runs| format!("/runs/{}", run_id(1 + n * 7919 % runs)) },
    Page {
        name: "its timeline",
        path: |n, runs| format!("/runs/{}/timeline", run_id(1 + n * 7919 % runs)),
    },
    Page {
        name: "a stage and its log",
        path: |n, runs| format!("/runs/{}/stages/unit", run_id(runs - n % 500)),
    },
    Page { name: "approvals", path: |_, _| "/approvals".to_owned() },
    Page {
        name: "a project",
        path: |n, _| format!("/projects/team-{}/project-{}", n % 20, n % 200),
    },
    Page {
        name: "metrics of a project",
        path: |n, _| format!("/projects/team-{}/project-{}/metrics", n % 20, n % 200),
    },
    Page {
        name: "tests of a project",
        path: |n, _| format!("/projects/team-{}/project-{}/tests", n % 20, n % 200),
    },
];

/// A browser in which the owner has signed in.
pub(crate) struct Visitor {
    cookies: String,
}

impl Visitor {
    pub(crate) async fn sign_in(server: &Server) -> Self {
        let form = format!("login=ada&password={}", PASSWORD.replace(' ', "+"));
        let request = server.request(Method::POST, "/sign-in").body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.header("sec-fetch-site", "same-origin").send().await.unwrap();
        let set = answer.headers().get_all(SET_COOKIE).iter();
        let pairs = set.filter_map(|it| it.to_str().ok()?.split(';').next().map(str::to_owned));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        assert!(cookies.contains("trunkline="), "the sign-in gives no cookies: {answer:?}");
        Self { cookies }
    }

    fn request(&self, server: &Server, path: &str) -> RequestBuilder {
        let request = server.request(Method::GET, path).header(COOKIE, &self.cookies);
        request.header(ACCEPT, "text/html").header("sec-fetch-site", "same-origin")
    }

    /// How many bytes come, and whether they are compressed.
    async fn size(&self, server: &Server, path: &str, encoding: &str) -> (usize, bool, String) {
        let request = self.request(server, path).header(ACCEPT_ENCODING, encoding);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        let is_compressed = answer.headers().contains_key(CONTENT_ENCODING);
        let bytes = answer.bytes().await.unwrap();
        (bytes.len(), is_compressed, String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Asks for all pages in turn, and prints a row for each.
pub(crate) async fn measure_times(server: &Server, visitor: &Visitor, past: &Past, seconds: u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small rate")]
    let pace = Pace { count: seconds * PER_SECOND as u64, per_second: PER_SECOND };
    // Once for what is read for the first time.
    let warm = Pace { count: pace.count.min(60), ..pace };
    for (title, pace) in [("", warm), ("to the first byte, 20 pages a second", pace)] {
        let samples = load::play(pace, |n| {
            let kind = usize::try_from(n).unwrap() % PAGES.len();
            let path = (PAGES[kind].path)(n / PAGES.len() as u64, past.runs);
            let request = visitor.request(server, &path);
            // The head comes once the page is made; the body is what follows at once.
            async move { (kind, request.send().await.is_ok_and(|it| it.status().is_success())) }
        })
        .await;
        if title.is_empty() {
            continue;
        }
        load::head(title);
        for (kind, page) in PAGES.iter().enumerate() {
            load::row(page.name, samples.iter().filter(|it| it.kind == kind));
        }
        load::row("all", samples.iter());
    }
}

/// Prints how large each page is: alone, and with its style sheets and scripts.
pub(crate) async fn measure_sizes(server: &Server, visitor: &Visitor, past: &Past) {
    println!("\n{:<44} {:>9} {:>9} {:>9} {:>9}", "size in KB", "html", "all", "html gz", "all gz");
    for page in &PAGES {
        let path = (page.path)(3, past.runs);
        let mut sizes = Vec::new();
        for encoding in ["identity", "gzip"] {
            let (html, is_compressed, _) = visitor.size(server, &path, encoding).await;
            assert_eq!(is_compressed, encoding == "gzip", "{path}: how it is sent");
            let (_, _, text) = visitor.size(server, &path, "identity").await;
            let mut all = html;
            for asset in assets(&text) {
                all += visitor.size(server, &asset, encoding).await.0;
            }
            sizes.extend([html, all]);
        }
        let [html, all, html_small, all_small] = sizes[..] else { unreachable!() };
        let name = page.name;
        println!(
            "{name:<44} {:>9} {:>9} {:>9} {:>9}",
            kilobytes(html),
            kilobytes(all),
            kilobytes(html_small),
            kilobytes(all_small)
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size of a page")]
fn kilobytes(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / 1000.0)
}

/// Paths of what a page loads.
fn assets(html: &str) -> Vec<String> {
    let after = html.split(['"', '\'']).filter(|it| it.starts_with("/assets/"));
    after.map(str::to_owned).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}
