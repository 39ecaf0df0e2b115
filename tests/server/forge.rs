//! A forge that writes down what is asked of it, and says what it is told to. What GitHub's or GitLab's own
//! description of its interface does not allow fails the test.

#[path = "forge/described.rs"]
mod described;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use described::Description;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    /// `POST /path state description`
    pub(crate) fn line(&self) -> String {
        let text = |name: &str| self.body[name].as_str().unwrap_or_default().to_owned();
        let Self { method, path, .. } = self;
        format!("{method} {path} {}: {}", text("state"), text("description"))
    }
}

/// An answer that is given once, before all others are `201`.
type Answer = (StatusCode, Vec<(&'static str, String)>);

#[derive(Debug, Clone, Default)]
struct Book {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
    /// What GETs are answered with, by path.
    pages: Arc<Mutex<BTreeMap<String, Value>>>,
    /// What it understands, if that is looked at.
    description: Arc<Mutex<Option<Description>>>,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Drop for Forge {
    fn drop(&mut self) {
        let problems = self.book.problems.lock().unwrap().clone();
        if !std::thread::panicking() {
            assert!(problems.is_empty(), "a real forge would refuse that: {problems:#?}");
        }
    }
}

/// A forge on a port of its own.
pub(crate) struct Forge {
    pub(crate) url: String,
    book: Book,
    _tasks: JoinSet<()>,
}

impl Forge {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let book = Book::default();
        let router = Router::new().fallback(note).with_state(book.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, book, _tasks: tasks }
    }

    /// Holds requests against what this vendor has published.
    pub(crate) fn speaks(&self, forge: &str) {
        *self.book.description.lock().unwrap() = Description::of(forge);
    }

    /// Gives this answer to the next request.
    pub(crate) fn answer_once(&self, status: StatusCode, headers: Vec<(&'static str, String)>) {
        self.book.answers.lock().unwrap().push((status, headers));
    }

    /// Answers GETs of this path so from now on; all others with an empty list.
    pub(crate) fn serve(&self, path: &str, body: Value) {
        self.book.pages.lock().unwrap().insert(path.to_owned(), body);
    }

    /// How many requests were no GETs.
    pub(crate) fn posted(&self) -> usize {
        self.asked().iter().filter(|it| it.method != Method::GET).count()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.book.asked.lock().unwrap().clone()
    }

    /// Waits for a request that is like this one.
    pub(crate) async fn wait_for(&self, is_it: impl Fn(&Asked) -> bool) -> Asked {
        for _ in 0..600 {
            if let Some(found) = self.asked().into_iter().find(|it| is_it(it)) {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the forge was not asked for that: {:#?}", self.asked());
    }
}

async fn note(
    State(book): State<Book>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let text = String::from_utf8_lossy(&body).into_owned();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let page = book.pages.lock().unwrap().get(&path).cloned();
    let is_get = method == Method::GET;
    let asked = Asked { method, path, query, headers, body, text };
    if let Some(description) = &*book.description.lock().unwrap() {
        book.problems.lock().unwrap().extend(description.problems(&asked));
    }
    book.asked.lock().unwrap().push(asked);
    if is_get {
        let page = page.unwrap_or_else(|| Value::Array(Vec::new()));
        return (StatusCode::OK, HeaderMap::new(), page.to_string());
    }
    let mut answers = book.answers.lock().unwrap();
    let (status, extra) =
        if answers.is_empty() { (StatusCode::CREATED, Vec::new()) } else { answers.remove(0) };
    let mut headers = HeaderMap::new();
    for (name, value) in extra {
        headers.insert(name, value.parse().unwrap());
    }
    (status, headers, page.map_or_else(|| r#"{"id": 7}"#.to_owned(), |it| it.to_string()))
}
