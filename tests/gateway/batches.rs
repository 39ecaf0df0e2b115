//! `kill -9` of the gateway at each step of a provider's batch, for a gateway alone and for a server: nothing is lost, handed
//! over or charged twice, and no money stays set aside.

#[path = "../../src/gateway/tests/batched/provider.rs"]
#[expect(dead_code, reason = "other tests ask more of it")]
mod provider;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use provider::{Fate, Provider, Stop};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const PRICES: &str = r#"
version = 1
currency = "USD"
[[price]]
id = "test"
provider = "test"
model = ["m*"]
per_million = { input = 1, output = 10 }
[price.tier.batch.per_million]
input = "0.5"
output = "5"
"#;

const SETTINGS: &str = r#"
listen = "127.0.0.1:{port}"
prices = ["prices.toml"]
{alone}
[queue]
{database}
look_ms = 20
retry_ms = 40
lease_ms = 600
batch_wait_ms = 3000
batch_items = 5
batch_poll_ms = 30
[[key]]
name = "good"
variable = "GOOD_KEY"
subject = { team = "core" }
[[budget]]
id = "core"
scope = { team = "core" }
window = "day"
usd = "1"
"#;

/// As many as one batch has.
const ITEMS: usize = 5;
/// A hundred tokens in and ten out, at half the usual price.
const COST: i64 = 100 * 500 + 10 * 5_000;

/// Where the process is killed.
#[derive(Debug, Clone, Copy)]
enum Point {
    /// While the provider does not answer.
    Provider(Stop),
    /// When this is to be written: an event of a table, and a condition.
    Write(&'static str, &'static str),
}

const WRITES: [Point; 5] = [
    Point::Write("UPDATE OF terms ON queue_items", "NEW.terms <> ''"),
    Point::Write("UPDATE OF state ON queue_batches", "NEW.state = 'submitting'"),
    Point::Write("UPDATE OF state ON queue_batches", "NEW.remote <> '' AND OLD.remote = ''"),
    Point::Write(
        "UPDATE OF state ON queue_items",
        "NEW.state = 'done' AND (SELECT COUNT(*) FROM queue_items WHERE state = 'done') = 2",
    ),
    Point::Write("UPDATE OF state ON queue_batches", "NEW.state = 'ended'"),
];
/// Where the ledger is in the database.
const LEDGER_WRITES: [Point; 3] = [
    Point::Write("INSERT ON budget_grants", "NEW.spender LIKE 'batch item %'"),
    Point::Write("INSERT ON model_calls", "(SELECT COUNT(*) FROM model_calls) = 2"),
    Point::Write("DELETE ON spenders", "OLD.id LIKE 'batch item %'"),
];
const STOPS: [Point; 5] = [
    Point::Provider(Stop::Uploaded),
    Point::Provider(Stop::Asked),
    Point::Provider(Stop::Taken),
    Point::Provider(Stop::Looked),
    Point::Provider(Stop::Answers(2)),
];

/// A gateway, alone or in a server, and its provider.
struct World {
    folder: TempDir,
    is_server: bool,
    model: &'static str,
    provider: Provider,
    url: String,
    child: Child,
    /// What it complains of.
    complaints: Arc<Mutex<Vec<String>>>,
    runtime: Runtime,
}

impl Drop for World {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _nobody_asks = self.child.wait();
    }
}

impl World {
    fn new(is_server: bool, model: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let provider = runtime.block_on(Provider::new());
        std::fs::write(folder.path().join("prices.toml"), PRICES).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        drop(free);
        let (alone, database) = if is_server {
            ("", "")
        } else {
            ("ledger = \"ledger.jsonl\"", "database = \"sqlite:state/state.db\"")
        };
        let settings = SETTINGS.replace("{port}", &port).replace("{alone}", alone);
        let settings = settings.replace("{database}", database) + &provider.settings();
        std::fs::write(folder.path().join("gateway.toml"), settings).unwrap();
        let (child, complaints) = start(&folder, is_server);
        let url = format!("http://127.0.0.1:{port}");
        let world = Self { folder, is_server, model, provider, url, child, complaints, runtime };
        world.until("it listens", |it| it.ask("GET", "/v1/models", None).is_some());
        world
    }

    /// Kills it as a power cut would.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start(&mut self) {
        (self.child, self.complaints) = start(&self.folder, self.is_server);
    }

    fn until(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_there(self) {
            let complaints = self.complaints.lock().unwrap();
            let bank = self.provider.lock();
            assert!(begun.elapsed() < Duration::from_mins(1), "{what}: {complaints:?}, {bank:?}");
            drop((complaints, bank));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
        let asked = async {
            let method = method.parse().unwrap();
            let request = reqwest::Client::new().request(method, format!("{}{path}", self.url));
            let request = request.bearer_auth("tl-good");
            let request = body.map_or(request.try_clone().unwrap(), |it| request.json(it));
            request.send().await.ok()?.json().await.ok()
        };
        self.runtime.block_on(asked)
    }

    fn submit(&self) -> Vec<String> {
        let path = if self.model == "m-lot" { "/v1/messages" } else { "/v1/chat/completions" };
        let message = json!({"role": "user", "content": "Say something."});
        let body = json!({"model": self.model, "messages": [message], "max_tokens": 50});
        let item = json!({"path": path, "batch": true, "body": body});
        let submit = || {
            let told = self.ask("POST", "/v1/queue", Some(&item)).unwrap();
            told["id"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
        };
        (0..ITEMS).map(|_| submit()).collect()
    }

    fn state_of(&self, id: &str) -> String {
        let item = self.ask("GET", &format!("/v1/queue/{id}"), None);
        item.map(|it| it["state"].to_string()).unwrap_or_default()
    }

    fn sql<T>(&self, text: &str) -> Vec<T>
    where
        T: Send + Unpin + for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow>,
    {
        let file: PathBuf = self.folder.path().join("state/state.db");
        self.runtime.block_on(async {
            let options = SqliteConnectOptions::new().filename(file);
            let options = options.busy_timeout(Duration::from_secs(20));
            let pool = SqlitePool::connect_with(options).await.unwrap();
            let rows = sqlx::query_as(sqlx::AssertSqlSafe(text.to_owned()))
                .fetch_all(&pool)
                .await
                .unwrap();
            pool.close().await;
            rows
        })
    }

    /// Has the process come to a point, and no further.
    fn come_to(&self, point: Point) -> Vec<String> {
        match point {
            Point::Provider(stop) => self.provider.lock().stop = Some(stop),
            Point::Write(event, condition) => {
                let body = "BEGIN SELECT RAISE(ABORT, 'the power goes'); END";
                self.sql::<()>(&format!(
                    "CREATE TRIGGER stop BEFORE {event} WHEN {condition} {body}"
                ));
            }
        }
        let ids = self.submit();
        let has_come = |it: &Self| match point {
            Point::Provider(Stop::Answers(count)) => {
                let done = ids.iter().filter(|id| it.state_of(id) == "\"done\"").count();
                it.provider.lock().is_stopped && done == count
            }
            Point::Provider(_) => it.provider.lock().is_stopped,
            Point::Write(..) => !it.complaints.lock().unwrap().is_empty(),
        };
        self.until("it comes to the point", |it| {
            it.finish();
            has_come(it)
        });
        ids
    }

    /// Has the provider answer what it has.
    fn finish(&self) {
        self.provider.finish(|_, _| Fate::Answered);
    }

    /// What each call of the ledger has cost, and how many rows it has there.
    fn ledger(&self) -> BTreeMap<String, (i64, usize)> {
        let rows: Vec<(String, i64)> = if self.is_server {
            self.sql("SELECT request, cost FROM model_calls")
        } else {
            let row = |it: &Value| {
                (it["request"].as_str().unwrap().to_owned(), it["cost"].as_i64().unwrap())
            };
            self.lines("call").iter().map(row).collect()
        };
        let mut calls = BTreeMap::new();
        for (request, cost) in rows {
            let call: &mut (i64, usize) = calls.entry(request).or_default();
            *call = (call.0 + cost, call.1 + 1);
        }
        calls
    }

    fn lines(&self, kind: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("ledger.jsonl"));
        let text = text.unwrap_or_default();
        let lines = text.lines().filter_map(|it| serde_json::from_str::<Value>(it).ok());
        lines.filter_map(|it| it.get(kind).cloned()).collect()
    }

    /// What is set aside, and what is spent, of the budget.
    fn account(&self) -> (i64, i64) {
        if self.is_server {
            let sums =
                "SELECT COALESCE(SUM(granted), 0), COALESCE(SUM(spent), 0) FROM budget_accounts";
            return self.sql(sums)[0];
        }
        let (mut open, mut spent) = (BTreeMap::new(), 0);
        for entry in self.lines("entry") {
            if let Some(it) = entry.get("reserved") {
                let estimate = it["reservation"]["estimate"]["money"].as_i64().unwrap();
                open.insert(it["reservation"]["id"].to_string(), estimate);
            }
            if let Some(it) = entry.get("closed")
                && open.remove(&it["id"].to_string()).is_some()
            {
                spent += it["cost"]["money"].as_i64().unwrap();
            }
        }
        (open.values().sum(), spent)
    }
}

fn start(folder: &TempDir, is_server: bool) -> (Child, Arc<Mutex<Vec<String>>>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    let config = folder.path().join("gateway.toml");
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", folder.path());
    command.env("PROVIDER_KEY", "sk-provider").env("GOOD_KEY", "tl-good");
    command.env("TRUNKLINE_STATE", folder.path().join("state")).env("TRUNKLINE_EXECUTOR", "host");
    if is_server {
        command.args(["serve", "--listen", "127.0.0.1:0"]).env("TRUNKLINE_GATEWAY", config);
    } else {
        command.arg("gateway").arg("--config").arg(config);
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let complaints: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = complaints.clone();
    std::thread::spawn(move || {
        let lines = lines.map_while(Result::ok);
        for line in lines.filter(|it| it.contains("cannot be") || it.contains("error")) {
            heard.lock().unwrap().push(line);
        }
    });
    (child, complaints)
}

fn check(is_server: bool, model: &'static str, point: Point) {
    let mut world = World::new(is_server, model);
    let ids = world.come_to(point);
    world.kill();
    world.sql::<()>("DROP TRIGGER IF EXISTS stop");
    world.start();
    for id in &ids {
        world.until("an item is done", |it| {
            it.finish();
            it.state_of(id) == "\"done\""
        });
    }
    world.until("the batch has ended", |it| {
        let open = "SELECT COUNT(*) FROM queue_batches WHERE ended_at IS NULL";
        it.sql::<(i64,)>(open)[0].0 == 0 && it.account().0 == 0
    });
    let (calls, account) = (world.ledger(), world.account());
    let bank = world.provider.lock();
    // An item whose money could not be set aside goes with the next batch.
    let requests = bank.batches.iter().flat_map(|it| &it.requests);
    let handed_over: Vec<_> = requests.map(|it| it.0.split('-').next().unwrap()).collect();
    let items: BTreeSet<_> = ids.iter().map(String::as_str).collect();
    assert_eq!((handed_over.len(), bank.live), (ITEMS, 0), "{point:?}, {model}: {bank:?}");
    assert_eq!(handed_over.into_iter().collect::<BTreeSet<_>>(), items, "{point:?}, {model}");
    assert_eq!(calls.len(), ITEMS, "{point:?}, {model}: {calls:?}");
    assert!(calls.values().all(|it| *it == (COST, 1)), "{point:?}, {model}: {calls:?}");
    let all = i64::try_from(ITEMS).unwrap() * COST;
    assert_eq!(account, (0, all), "{point:?}, {model}");
}

/// All of them, a few at a time.
fn check_all(checks: Vec<(bool, &'static str, Point)>) {
    let left = Mutex::new(checks);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().pop();
                    let Some((is_server, model, point)) = next else { break };
                    check(is_server, model, point);
                }
            });
        }
    });
}

#[test]
fn a_gateway_that_is_killed_within_a_batch_loses_nothing_and_charges_nothing_twice() {
    let points = STOPS.into_iter().chain(WRITES);
    check_all(points.map(|it| (false, "m1", it)).collect());
}

#[test]
fn a_server_that_is_killed_within_a_batch_loses_nothing_and_charges_nothing_twice() {
    let points = STOPS.into_iter().chain(WRITES).chain(LEDGER_WRITES);
    check_all(points.map(|it| (true, "m1", it)).collect());
}

#[test]
fn a_batch_of_a_provider_that_keeps_no_names_survives_the_same() {
    let points = STOPS.into_iter().skip(1).chain(WRITES);
    check_all(points.map(|it| (true, "m-lot", it)).collect());
}

#[test]
fn what_was_set_aside_for_a_batch_that_nobody_wants_any_more_is_given_back() {
    for point in [WRITES[0], WRITES[1], LEDGER_WRITES[0]] {
        let mut world = World::new(true, "m1");
        world.come_to(point);
        world.kill();
        world.sql::<()>("DROP TRIGGER stop");
        world.sql::<()>("UPDATE queue_items SET cancelled_at = 1");
        world.start();
        world.until("all are cancelled and nothing is held", |it| {
            let open = "SELECT COUNT(*) FROM queue_items WHERE ended_at IS NULL";
            it.sql::<(i64,)>(open)[0].0 == 0 && it.account() == (0, 0)
        });
        assert!(world.provider.lock().batches.is_empty(), "{point:?}");
    }
}
