//! A provider with both batch interfaces, which ends batches when it is told to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A request costs so many tokens, in and out.
pub(super) const TOKENS: (u64, u64) = (100, 10);

#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) requests: Vec<(String, Value)>,
    pub(super) is_cancelled: bool,
    /// Lines of answers and of errors, once it is over.
    pub(super) lines: Option<[String; 2]>,
}

#[derive(Debug, Default)]
pub(super) struct Bank {
    pub(super) files: HashMap<String, String>,
    pub(super) batches: Vec<Batch>,
    pub(super) live: usize,
    /// Where it stops answering, once.
    pub(super) stop: Option<Stop>,
    /// It has.
    pub(super) is_stopped: bool,
    /// Answers so many creations with 500 before it takes one.
    pub(super) fails: usize,
    pub(super) uploads: usize,
    /// So often it was asked which batches there are.
    pub(super) lists: usize,
    /// There is always one page more, of others.
    pub(super) is_endless: bool,
}

#[derive(Clone, Default)]
pub(super) struct Provider {
    bank: Arc<Mutex<Bank>>,
    pub(super) url: String,
}

/// Where a provider stops answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has a file, and says so to nobody.
    Uploaded,
    /// It is asked to take a batch, and has not.
    Asked,
    /// It has taken one, and says so to nobody.
    Taken,
    /// It is asked how one stands.
    Looked,
    /// After so many answers.
    Answers(usize),
}

/// What becomes of a request.
pub(super) enum Fate {
    Answered,
    Says(&'static str),
    /// With what it was asked.
    Echoes,
    Status(u16),
    Expired,
}

impl Provider {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self { url, ..Self::default() };
        let router = Router::new()
            .route("/v1/files", post(upload))
            .route("/v1/files/{id}", axum::routing::delete(remove))
            .route("/v1/files/{id}/content", get(content))
            .route("/v1/batches", post(create).get(list))
            .route("/v1/batches/{id}", get(show))
            .route("/v1/batches/{id}/cancel", post(cancel))
            .route("/v1/messages/batches", post(create_messages).get(list))
            .route("/v1/messages/batches/{id}", get(show_messages))
            .route("/v1/messages/batches/{id}/cancel", post(cancel))
            .route("/v1/messages/batches/{id}/results", get(results))
            .route("/v1/chat/completions", post(live))
            .with_state(provider.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        provider
    }

    /// Stops there if it is to.
    async fn may_stop(&self, at: Stop) {
        {
            let mut bank = self.lock();
            if bank.stop != Some(at) {
                return;
            }
            (bank.stop, bank.is_stopped) = (None, true);
        }
        std::future::pending::<()>().await;
    }

    /// Answers, line by line.
    fn answers(&self, text: String) -> Response {
        let stop = self.lock().stop;
        let Some(Stop::Answers(count)) = stop else { return text.into_response() };
        let lines: Vec<_> = text.lines().take(count).map(|it| format!("{it}\n")).collect();
        let own = self.clone();
        let rest = async move {
            own.may_stop(Stop::Answers(count)).await;
            Ok::<_, Infallible>(String::new())
        };
        let lines = stream::iter(lines.into_iter().map(Ok)).chain(stream::once(rest));
        Body::from_stream(lines).into_response()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Bank> {
        self.bank.lock().unwrap()
    }

    /// Settings with it as a provider of both kinds.
    pub(super) fn settings(&self) -> String {
        let url = &self.url;
        format!(
            r#"
            [[provider]]
            name = "batcher"
            dialect = "openai"
            url = "{url}"
            prices = "test"
            key_variables = ["PROVIDER_KEY"]
            [[provider]]
            name = "lot"
            dialect = "anthropic"
            url = "{url}"
            prices = "test"
            [[route]]
            model = "m1"
            to = [{{ provider = "batcher", batch = true }}]
            [[route]]
            model = "m-lot"
            to = [{{ provider = "lot", batch = true }}]
            "#
        )
    }

    /// Ends the batches that are open.
    pub(super) fn finish(&self, fate: impl Fn(&str, &Value) -> Fate) {
        let mut bank = self.lock();
        for batch in bank.batches.iter_mut().filter(|it| it.lines.is_none()) {
            batch.lines = Some(lines(batch, &fate));
        }
    }
}

/// Lines of answers and of errors.
fn lines(batch: &Batch, fate: &impl Fn(&str, &Value) -> Fate) -> [String; 2] {
    let is_chat = batch.path != "/v1/messages";
    let mut lines = [String::new(), String::new()];
    // Providers keep no order.
    for (id, body) in batch.requests.iter().rev() {
        let (line, is_error) = match (fate(id, body), is_chat) {
            (Fate::Answered, true) => (chat_line(id, 200, &chat("fine")), false),
            (Fate::Says(text), true) => (chat_line(id, 200, &chat(text)), false),
            (Fate::Echoes, true) => {
                let text = body["messages"][0]["content"].as_str().unwrap();
                (chat_line(id, 200, &chat(text)), false)
            }
            (Fate::Status(status), true) => {
                (chat_line(id, status, &json!({"error": {"message": "no"}})), true)
            }
            (Fate::Expired, true) => {
                let error = json!({"code": "batch_expired", "message": "late"});
                (json!({"custom_id": id, "response": null, "error": error}), true)
            }
            (Fate::Answered | Fate::Says(_) | Fate::Echoes, false) => {
                let result = json!({"type": "succeeded", "message": message()});
                (json!({"custom_id": id, "result": result}), false)
            }
            (Fate::Status(_), false) => {
                let error =
                    json!({"type": "error", "error": {"type": "api_error", "message": "no"}});
                (json!({"custom_id": id, "result": {"type": "errored", "error": error}}), false)
            }
            (Fate::Expired, false) => {
                (json!({"custom_id": id, "result": {"type": "expired"}}), false)
            }
        };
        let lines = &mut lines[usize::from(is_error)];
        lines.push_str(&format!("{line}\n"));
    }
    lines
}

fn chat(text: &str) -> Value {
    json!({"id": "c1", "object": "chat.completion", "model": "m1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": TOKENS.0, "completion_tokens": TOKENS.1}})
}

fn message() -> Value {
    json!({"id": "a1", "type": "message", "role": "assistant", "model": "m-lot", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "fine"}],
        "usage": {"input_tokens": TOKENS.0, "output_tokens": TOKENS.1}})
}

fn chat_line(id: &str, status: u16, body: &Value) -> Value {
    json!({"custom_id": id, "response": {"status_code": status, "request_id": "r", "body": body}, "error": null})
}

async fn upload(State(it): State<Provider>, headers: HeaderMap, body: String) -> Response {
    let kind = headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("multipart/form-data; boundary="), "{kind}");
    assert_eq!(headers["authorization"], "Bearer sk-provider");
    let border = format!("\r\n--{}--\r\n", kind.split_once("boundary=").unwrap().1);
    let content = body.split_once("application/jsonl\r\n\r\n").unwrap().1;
    let content = content.strip_suffix(&border).unwrap().to_owned();
    let id = {
        let mut bank = it.lock();
        bank.uploads += 1;
        let id = format!("file-{}", bank.uploads);
        bank.files.insert(id.clone(), content);
        id
    };
    it.may_stop(Stop::Uploaded).await;
    axum::Json(json!({"id": id})).into_response()
}

async fn remove(State(it): State<Provider>, Path(id): Path<String>) -> Response {
    it.lock().files.remove(&id);
    axum::Json(json!({"id": id, "deleted": true})).into_response()
}

async fn content(State(it): State<Provider>, Path(id): Path<String>) -> Response {
    let bank = it.lock();
    let found = bank.batches.iter().find_map(|batch| {
        let lines = batch.lines.as_ref()?;
        match id.strip_prefix(&format!("{}-", batch.id))? {
            "out" => Some(lines[0].clone()),
            _ => Some(lines[1].clone()),
        }
    });
    drop(bank);
    found.map_or(StatusCode::NOT_FOUND.into_response(), |text| it.answers(text))
}

/// Takes a batch; then it may fail to say so.
async fn taken(
    it: &Provider,
    path: &str,
    (name, requests): (String, Vec<(String, Value)>),
) -> Response {
    it.may_stop(Stop::Asked).await;
    let id = {
        let mut bank = it.lock();
        if bank.fails > 0 {
            bank.fails -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let id = format!("batch-{}", bank.batches.len() + 1);
        let path = path.to_owned();
        let batch =
            Batch { id: id.clone(), name, path, requests, is_cancelled: false, lines: None };
        bank.batches.push(batch);
        id
    };
    it.may_stop(Stop::Taken).await;
    let bank = it.lock();
    axum::Json(view(bank.batches.iter().find(|it| it.id == id).unwrap())).into_response()
}

async fn create(State(it): State<Provider>, body: axum::Json<Value>) -> Response {
    let file = body["input_file_id"].as_str().unwrap();
    let content = it.lock().files[file].clone();
    let mut requests = Vec::new();
    for line in content.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["method"], &line["url"]), (&json!("POST"), &body["endpoint"]));
        requests.push((line["custom_id"].as_str().unwrap().to_owned(), line["body"].clone()));
    }
    let name = body["metadata"]["trunkline_batch"].as_str().unwrap().to_owned();
    taken(&it, body["endpoint"].as_str().unwrap(), (name, requests)).await
}

async fn create_messages(State(it): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["anthropic-version"], "2023-06-01");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let requests = body["requests"].as_array().unwrap().iter();
    let requests = requests
        .map(|it| (it["custom_id"].as_str().unwrap().to_owned(), it["params"].clone()))
        .collect();
    taken(&it, "/v1/messages", (String::new(), requests)).await
}

fn view(batch: &Batch) -> Value {
    let is_over = batch.lines.is_some();
    let total = batch.requests.len();
    if batch.path == "/v1/messages" {
        let word = if is_over { "ended" } else { "in_progress" };
        return json!({"id": batch.id, "processing_status": word, "created_at": "2126-11-29T12:00:00Z",
            "request_counts": {"processing": total, "succeeded": 0}});
    }
    let status = match (is_over, batch.is_cancelled) {
        (true, true) => "cancelled",
        (true, false) => "completed",
        (false, true) => "cancelling",
        (false, false) => "in_progress",
    };
    let file = |kind: &str, place: usize| {
        let has = batch.lines.as_ref().is_some_and(|it| !it[place].is_empty());
        has.then(|| format!("{}-{kind}", batch.id))
    };
    json!({"id": batch.id, "status": status, "metadata": {"trunkline_batch": batch.name},
        "output_file_id": file("out", 0), "error_file_id": file("err", 1),
        "request_counts": {"total": total}})
}

async fn list(State(it): State<Provider>) -> Response {
    let mut bank = it.lock();
    bank.lists += 1;
    if bank.is_endless {
        let id = format!("other-{}", bank.lists);
        return axum::Json(json!({"data": [{"id": id}], "has_more": true})).into_response();
    }
    let data: Vec<_> = bank.batches.iter().rev().map(view).collect();
    axum::Json(json!({"data": data, "has_more": false})).into_response()
}

async fn show(State(it): State<Provider>, Path(id): Path<String>) -> Response {
    it.may_stop(Stop::Looked).await;
    let bank = it.lock();
    match bank.batches.iter().find(|it| it.id == id) {
        Some(batch) => axum::Json(view(batch)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn show_messages(it: State<Provider>, id: Path<String>) -> Response {
    show(it, id).await
}

async fn cancel(State(it): State<Provider>, Path(id): Path<String>) -> Response {
    let mut bank = it.lock();
    let batch = bank.batches.iter_mut().find(|it| it.id == id).unwrap();
    batch.is_cancelled = true;
    axum::Json(view(batch)).into_response()
}

async fn results(State(it): State<Provider>, Path(id): Path<String>) -> Response {
    let text = {
        let bank = it.lock();
        let batch = bank.batches.iter().find(|it| it.id == id).unwrap();
        batch.lines.as_ref().unwrap()[0].clone()
    };
    it.answers(text)
}

async fn live(State(it): State<Provider>) -> Response {
    it.lock().live += 1;
    axum::Json(chat("live")).into_response()
}
