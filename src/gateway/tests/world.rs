//! A fake provider, a gateway before it, and a client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::ledger::Ledger;
use crate::gateway::server::queue::QueueParts;
use crate::gateway::server::set_up::{self, MissingKeys, Outside};
use crate::gateway::server::{self, Core};
use crate::gateway::settings;
use crate::model::{Clock, Timestamp, UsdNanos};
use crate::provider::fake::{self, Charged};

/// One dollar for a million tokens in, ten for a million out: 1,000 and 10,000 nano-dollars each.
const PRICES: &str = r#"
version = 1
currency = "USD"
[[price]]
id = "test"
provider = "test"
model = "m*"
per_million = { input = 1, output = 10 }
[price.tier.batch.per_million]
input = "0.5"
output = "5"
[[price]]
id = "named"
provider = "test"
model = "m-named"
per_million = { input = 3, output = 30 }
[[price]]
id = "long"
provider = "test"
model = "m-long"
max_output = 100_000
per_million = { input = 1, output = 10 }
[[price]]
id = "bare"
provider = "test"
model = "m-bare"
per_million = { input = 1 }
[[price]]
id = "by-call"
provider = "test"
model = "m-by-call"
per_thousand = { requests = 2 }
[[price]]
id = "docs"
provider = "vectors"
model = "docs*"
per_million = { read_units = 16 }
per_thousand = { queries = 2 }
"#;

/// The text of the client's key.
pub(super) const KEY: &str = "tl-test-key";

#[derive(Debug)]
pub(super) struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock")]
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(i64::try_from(since.unwrap().as_millis()).unwrap())
    }
}

pub(super) struct World {
    pub(super) core: Arc<Core>,
    pub(super) charged: Arc<Charged>,
    pub(super) address: String,
    pub(super) provider: String,
    pub(super) provider_stop: CancellationToken,
    pub(super) folder: tempfile::TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
    /// Whether the connection broke before the end.
    pub(super) is_broken: bool,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

impl World {
    /// `more` are settings besides; `{provider}` in them is the fake's address.
    pub(super) async fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::in_folder(folder, more).await
    }

    pub(super) async fn in_folder(folder: tempfile::TempDir, more: &str) -> Self {
        Self::with_queue(folder, more, None).await
    }

    /// With a part in the queue of a store.
    pub(super) async fn with_queue(
        folder: tempfile::TempDir,
        more: &str,
        queue: Option<QueueParts>,
    ) -> Self {
        Self::with_parts(folder, more, (queue, None)).await
    }

    /// With a ledger that is made elsewhere, too.
    pub(super) async fn with_parts(
        folder: tempfile::TempDir,
        more: &str,
        (queue, ledger): (Option<QueueParts>, Option<Arc<Ledger>>),
    ) -> Self {
        let (stop, provider_stop) = (CancellationToken::new(), CancellationToken::new());
        let (charged, tasks) = (Arc::new(Charged::default()), TaskTracker::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(fake::serve(listener, charged.clone(), provider_stop.clone()));
        std::fs::write(folder.path().join("prices.toml"), PRICES).unwrap();
        let cassette = if more.contains("cassettes =") { "cassette = \"eval\"" } else { "" };
        let base = format!(
            r#"
            prices = ["prices.toml"]
            {}
            [[provider]]
            name = "test"
            dialect = "openai"
            url = "{provider}"
            key_variables = ["PROVIDER_KEY"]
            [[provider]]
            name = "claude"
            dialect = "anthropic"
            url = "{provider}/"
            prices = "test"
            [[route]]
            model = ["m1", "m-*"]
            to = [{{ provider = "test" }}, {{ provider = "claude" }}]
            [[key]]
            name = "ci"
            variable = "CLIENT_KEY"
            subject = {{ team = "core", run = "r1" }}
            {cassette}
            "#,
            more.replace("{provider}", &provider)
        );
        let settings = settings::read(&base).unwrap();
        let variables =
            [("PROVIDER_KEY", "sk-provider"), ("CLIENT_KEY", KEY), ("OTHER_KEY", "tl-other")];
        let variable =
            |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
        let outside = Outside {
            variables: &variable,
            folder: folder.path().to_owned(),
            clock: Arc::new(Now),
            store: None,
            missing_keys: MissingKeys::Refuse,
            ledger,
            queue,
        };
        let core = set_up::core(&settings, &outside).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(server::serve(core.clone(), listener, stop.clone()));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { core, charged, address, provider, provider_stop, folder, client, stop, tasks }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.core.ledger
    }

    pub(super) async fn open(
        &self,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Response<Incoming> {
        let mut request = Request::post(format!("{}{path}", self.address));
        if !headers.iter().any(|it| it.0 == "authorization") {
            request = request.header("authorization", format!("Bearer {KEY}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        self.client.request(request).await.unwrap()
    }

    /// A body that is no text, with these headers alone.
    pub(super) async fn send(&self, path: &str, body: Vec<u8>, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::post(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        read(self.client.request(request).await.unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Reply {
        read(self.open(path, body, headers).await).await
    }

    pub(super) async fn put(&self, path: &str, body: &str) -> Reply {
        let request = Request::put(format!("{}{path}", self.address));
        let request = request.header("authorization", format!("Bearer {KEY}"));
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        read(self.client.request(request).await.unwrap()).await
    }

    /// The same without the gateway.
    pub(super) async fn direct(&self, path: &str, body: &str, fake: &str) -> Reply {
        let request = Request::post(format!("{}{path}", self.provider)).header("x-fake", fake);
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        read(self.client.request(request).await.unwrap()).await
    }

    pub(super) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::get(format!("{}{path}", self.address));
        if !headers.iter().any(|it| it.0 == "authorization") {
            request = request.header("authorization", format!("Bearer {KEY}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default()).unwrap();
        read(self.client.request(request).await.unwrap()).await
    }

    pub(super) async fn delete(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::delete(format!("{}{path}", self.address));
        if !headers.iter().any(|it| it.0 == "authorization") {
            request = request.header("authorization", format!("Bearer {KEY}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(self.client.request(request.body(Full::default()).unwrap()).await.unwrap()).await
    }

    /// Waits until no call is open.
    pub(super) async fn settled(&self) {
        for _ in 0..1000 {
            if self.ledger().open_calls() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} calls are open", self.ledger().open_calls());
    }

    pub(super) fn cost(&self) -> UsdNanos {
        UsdNanos(self.ledger().sums().iter().map(|it| it.1.cost.0).sum())
    }

    /// What the fake would charge, at the prices above.
    pub(super) fn provider_cost(&self) -> UsdNanos {
        let input = self.charged.input_tokens.load(Ordering::Relaxed);
        let output = self.charged.output_tokens.load(Ordering::Relaxed);
        UsdNanos(i64::try_from(input * 1000 + output * 10_000).unwrap())
    }

    /// The calls that were written down, as JSON.
    pub(super) fn rows(&self) -> Vec<Value> {
        let lines = self.ledger().take_lines(String::new());
        let lines = lines.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
        lines.filter_map(|it| it.get("call").cloned()).collect()
    }

    /// Stops the gateway, which waits for its calls so long.
    pub(super) async fn finish(&self, patience: Duration) {
        self.stop.cancel();
        server::finish(&self.core, patience).await;
    }

    /// Ends the gateway while its provider goes on.
    pub(super) async fn leave(self) {
        self.stop.cancel();
        self.core.tasks.close();
        let ended = tokio::time::timeout(Duration::from_secs(10), self.core.tasks.wait());
        ended.await.expect("nothing hangs");
        self.end().await;
    }

    pub(super) async fn end(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.provider_stop.cancel();
        self.tasks.close();
        drop(self.client);
        tokio::time::timeout(Duration::from_secs(10), self.tasks.wait())
            .await
            .expect("nothing hangs");
        self.folder
    }
}

pub(super) async fn read(response: Response<Incoming>) -> Reply {
    let (head, mut body) = response.into_parts();
    let (mut all, mut is_broken) = (Vec::new(), false);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            is_broken = true;
            break;
        };
        all.extend_from_slice(&frame.into_data().unwrap_or_default());
    }
    let body = String::from_utf8_lossy(&all).into_owned();
    Reply { status: head.status.as_u16(), headers: head.headers, body, is_broken }
}

/// The body of a call.
pub(super) fn asks(stream: bool, more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!(",{more}") };
    format!(
        r#"{{"model":"m1","stream":{stream},"messages":[{{"role":"user","content":"Say something."}}],"max_tokens":50{more}}}"#
    )
}
