//! `trunkline queue`: calls to models that a gateway makes later, from a terminal.

pub mod gateway;

use std::io::Read as _;
use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, TimeDelta};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::model::Timestamp;
use gateway::{Gateway, GatewayArgs};

/// Where the queue is.
const QUEUE: &str = "/v1/queue";
/// What is called when nobody says.
const PATH: &str = "/v1/chat/completions";
/// How long one look waits.
const LOOK: &str = "30s";

/// Arguments of `trunkline queue`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It asks a gateway whose file has `[queue]`, with one of its keys: docs/queue.md. The address is `--url`,
TRUNKLINE_GATEWAY_URL or OPENAI_BASE_URL; the key is in `--key-file`, TRUNKLINE_GATEWAY_KEY or OPENAI_API_KEY.
`submit --wait` writes the body of the answer alone; without an answer it shows the item, and ends with 1.

Examples:
  trunkline queue submit report.json --priority 10 --within 2h --url https://gateway.example.org --key-file key.txt
  trunkline queue submit report.json --wait > answer.json
  trunkline queue submit report.json --batch --on-batch fail
  trunkline queue show 01kb… --wait
  trunkline queue list --only queued
  trunkline queue cancel 01kb…")]
pub struct QueueArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    gateway: GatewayArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Submit a call: its body is a file, or `-` for standard input
    Submit(Box<SubmitArgs>),
    /// Show an item, and its answer once it has one
    Show {
        /// Its id
        id: String,
        /// Wait until it has ended
        #[arg(long)]
        wait: bool,
    },
    /// List items, the newest first
    List {
        /// Only these: queued, running, done, failed or cancelled
        // `--state` is the folder of the state, for every command.
        #[arg(long, value_name = "STATE")]
        only: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Cancel an item: one that waits at once, one that is carried out as soon as its process knows
    Cancel {
        /// Its id
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct SubmitArgs {
    /// A file with the body of the call, or `-`
    body: PathBuf,
    /// What is called
    #[arg(long, default_value = PATH)]
    path: String,
    /// Higher is earlier: -100 to 100
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// When a budget refuses it: wait or fail
    #[arg(long, default_value = "wait")]
    on_budget: String,
    /// Make it part of a batch of the provider, at its price for those, within a day
    #[arg(long)]
    batch: bool,
    /// When its batch has no answer for it: live (it is called) or fail
    #[arg(long, value_name = "WHAT", requires = "batch")]
    on_batch: Option<String>,
    /// Give it up after this long: `90s`, `30m`, `2h` or `1d` [default: the gateway's, a day]
    #[arg(long, value_name = "SPAN")]
    within: Option<String>,
    /// Whom to tell of its end
    #[arg(long, value_name = "URL", requires = "webhook_secret_file")]
    webhook: Option<String>,
    /// A file with the secret that this is signed with
    #[arg(long, value_name = "FILE", requires = "webhook")]
    webhook_secret_file: Option<PathBuf>,
    /// A name that makes it the same when it is submitted again
    #[arg(long, value_name = "NAME")]
    idempotency_key: Option<String>,
    /// A header of the call (repeatable)
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    /// Wait until it has ended, and write its answer
    #[arg(long)]
    wait: bool,
}

fn header(text: &str) -> Result<(String, String), Usage> {
    let wrong = || Usage::new("write `NAME: VALUE`", "");
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Does it.
pub async fn execute(session: &Session, args: &QueueArgs) -> anyhow::Result<Exit> {
    let gateway = Gateway::of(session, &args.gateway)?;
    match &args.action {
        Action::Submit(submit) => gateway.submit(submit).await,
        Action::Show { id, wait } => {
            let item = if *wait { gateway.end_of(id).await? } else { gateway.item(id, "").await? };
            gateway.tell(&item)?;
            Ok(Exit::Passed)
        }
        Action::List { only, limit } => gateway.list(only.as_deref(), *limit).await,
        Action::Cancel { id } => {
            let item =
                gateway.send(gateway.request(Method::DELETE, &format!("{QUEUE}/{id}"))).await?;
            gateway.tell(&item)?;
            Ok(Exit::Passed)
        }
    }
}

impl Gateway<'_> {
    async fn submit(&self, args: &SubmitArgs) -> anyhow::Result<Exit> {
        let body = read(self.session, &args.body)?;
        let wrong = |it: serde_json::Error| Usage::new(format!("the body is not JSON: {it}"), "");
        let body: Value = serde_json::from_str(&body).map_err(wrong)?;
        let mut submission = json!({
            "path": args.path,
            "priority": args.priority,
            "on_budget": args.on_budget,
        });
        let headers = args.headers.iter().map(|it| (it.0.clone(), Value::String(it.1.clone())));
        let mut put = |name: &str, value: Value| {
            if let Some(map) = submission.as_object_mut() {
                map.insert(name.to_owned(), value);
            }
        };
        put("headers", Value::Object(headers.collect()));
        put("body", body);
        if args.batch {
            put("batch", Value::Bool(true));
        }
        if let Some(word) = &args.on_batch {
            put("on_batch", Value::String(word.clone()));
        }
        if let Some(span) = &args.within {
            put("deadline", Value::String(deadline(span, self.session.now())?));
        }
        if let (Some(url), Some(file)) = (&args.webhook, &args.webhook_secret_file) {
            let secret = read(self.session, file)?;
            put("webhook", json!({"url": url, "secret": secret.trim()}));
        }
        let mut request = self.request(Method::POST, QUEUE).json(&submission);
        if let Some(name) = &args.idempotency_key {
            request = request.header("idempotency-key", name);
        }
        let item = self.send(request).await?;
        if !args.wait {
            self.tell(&item)?;
            return Ok(Exit::Passed);
        }
        let item = self.end_of(text(&item, "/id")).await?;
        if text(&item, "/state") != "done" {
            self.tell(&item)?;
            return Ok(Exit::RunFailed);
        }
        self.session.output.json(item.pointer("/answer/body").unwrap_or(&Value::Null))?;
        Ok(Exit::Passed)
    }

    async fn item(&self, id: &str, query: &str) -> anyhow::Result<Value> {
        self.send(self.request(Method::GET, &format!("{QUEUE}/{id}{query}"))).await
    }

    async fn end_of(&self, id: &str) -> anyhow::Result<Value> {
        loop {
            let item = self.item(id, &format!("?wait={LOOK}")).await?;
            if !matches!(text(&item, "/state"), "queued" | "running") {
                return Ok(item);
            }
        }
    }

    async fn list(&self, state: Option<&str>, limit: u32) -> anyhow::Result<Exit> {
        let state = state.map(|it| format!("&state={it}")).unwrap_or_default();
        let path = format!("{QUEUE}?limit={limit}{state}");
        let list = self.send(self.request(Method::GET, &path)).await?;
        if self.session.output.json {
            self.session.output.json(&list)?;
            return Ok(Exit::Passed);
        }
        let items = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
        if items.is_empty() {
            self.session.output.line("there is no item")?;
        }
        for item in &items {
            self.session.output.line(&line(item))?;
        }
        Ok(Exit::Passed)
    }

    fn tell(&self, item: &Value) -> anyhow::Result<()> {
        let output = &self.session.output;
        if output.json {
            output.json(item)?;
            return Ok(());
        }
        output.line(&line(item))?;
        if let Some(answer) = item.get("answer") {
            let status = answer.get("status").unwrap_or(&Value::Null);
            output.line(&format!("answer ({status}):"))?;
            match answer.get("body") {
                Some(Value::String(text)) => output.line(text)?,
                Some(body) => output.line(&serde_json::to_string_pretty(body)?)?,
                None => {}
            }
        }
        Ok(())
    }
}

/// `01kb… queued, number 3  m1 at /v1/chat/completions, priority 10`
fn line(item: &Value) -> String {
    let number = |path: &str| item.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    let mut line = format!("{}  {}", text(item, "/id"), text(item, "/state"));
    if let Some(position) = item.get("position").and_then(Value::as_i64) {
        line += &format!(", number {position}");
    }
    line += &format!("  {} at {}", text(item, "/model"), text(item, "/path"));
    if number("/priority") != 0 {
        line += &format!(", priority {}", number("/priority"));
    }
    if number("/attempts") > 0 {
        line += &format!(", tries: {}", number("/attempts"));
    }
    if let Some(message) = item.pointer("/reason/message").and_then(Value::as_str) {
        line += &format!("; {}: {message}", text(item, "/reason/code"));
    }
    line
}

fn text<'a>(item: &'a Value, path: &str) -> &'a str {
    item.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn read(session: &Session, file: &std::path::Path) -> anyhow::Result<String> {
    let shown = file.display();
    let wrong = |it: std::io::Error| Usage::new(format!("`{shown}` cannot be read: {it}"), "");
    if file.as_os_str() == "-" {
        let mut all = String::new();
        std::io::stdin().read_to_string(&mut all).map_err(wrong)?;
        return Ok(all);
    }
    Ok(std::fs::read_to_string(session.folder.join(file)).map_err(wrong)?)
}

/// The moment so long from now.
fn deadline(span: &str, now: Timestamp) -> Result<String, Usage> {
    let wrong = || Usage::new(format!("`{span}` is no span"), "write one such as `30m` or `2h`");
    let unit = span.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return Err(wrong()),
    };
    let number = span.strip_suffix(unit).and_then(|it| it.parse::<i64>().ok()).ok_or_else(wrong)?;
    let delta = number.checked_mul(seconds).and_then(TimeDelta::try_seconds).ok_or_else(wrong)?;
    let now = DateTime::from_timestamp_millis(now.0).ok_or_else(wrong)?;
    let at = now.checked_add_signed(delta).ok_or_else(wrong)?;
    Ok(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}
