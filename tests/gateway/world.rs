//! The fake provider in this process, and the built gateway before it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use trunkline::provider::fake::{self, Charged};

/// One dollar for a million tokens in, ten for a million out.
const PRICES: &str = r#"
version = 1
currency = "USD"
[[price]]
id = "test"
provider = "test"
model = ["m*", "text-*"]
per_million = { input = 1, output = 10 }
"#;

const GATEWAY: &str = r#"
listen = "127.0.0.1:0"
prices = ["prices.toml"]
ledger = "ledger.jsonl"
limits = { request_bytes = 1048576, attempts = 3 }
[[provider]]
name = "fake"
dialect = "openai"
url = "{fake}"
key_variables = ["PROVIDER_KEY"]
prices = "test"
[[provider]]
name = "fake-claude"
dialect = "anthropic"
url = "{fake}"
key_variables = ["PROVIDER_KEY"]
prices = "test"
[[route]]
model = ["m1", "m2", "text-embed"]
to = [{ provider = "fake" }, { provider = "fake-claude" }]
[[key]]
name = "good"
variable = "GOOD_KEY"
subject = { team = "core" }
[[key]]
name = "poor"
variable = "POOR_KEY"
subject = { team = "poor" }
[[key]]
name = "narrow"
variable = "NARROW_KEY"
models = ["m2"]
[[key]]
name = "slow"
variable = "SLOW_KEY"
per_minute = 60
[[budget]]
id = "the poor"
scope = { team = "poor" }
window = "day"
usd = "0.000001"
"#;

/// Starts the gateway of a folder; gives its address.
fn start(folder: &Path) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    command.env_clear().envs(KEYS).env("HOME", folder);
    command.env("TRUNKLINE_PRIVATE_HOSTS", "127.0.0.1");
    command.arg("gateway").arg("--config").arg(folder.join("gateway.toml")).stdout(Stdio::piped());
    let mut gateway = command.spawn().unwrap();
    let mut lines = BufReader::new(gateway.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said = lines.find_map(|it| Some(it.split_once("listens on ")?.1.to_owned()));
    std::thread::spawn(move || lines.for_each(drop));
    (gateway, said.unwrap())
}

/// The texts of the keys.
const KEYS: [(&str, &str); 5] = [
    ("PROVIDER_KEY", "sk-provider"),
    ("GOOD_KEY", "tl-good"),
    ("POOR_KEY", "tl-poor"),
    ("NARROW_KEY", "tl-narrow"),
    ("SLOW_KEY", "tl-slow"),
];

/// Ends with this value.
pub(crate) struct World {
    folder: TempDir,
    charged: Arc<Charged>,
    gateway: Child,
    pub(crate) url: String,
    stop: CancellationToken,
    runtime: Runtime,
}

impl Drop for World {
    fn drop(&mut self) {
        let _it_may_have_ended = self.gateway.kill();
        let _nobody_asks = self.gateway.wait();
        self.stop.cancel();
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more at the end of the gateway's file.
    pub(crate) fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let fake = format!("http://{}", listener.local_addr().unwrap());
        let (charged, stop) = (Arc::new(Charged::default()), CancellationToken::new());
        runtime.spawn(fake::serve(listener, charged.clone(), stop.clone()));
        std::fs::write(folder.path().join("prices.toml"), PRICES).unwrap();
        let file = folder.path().join("gateway.toml");
        std::fs::write(&file, GATEWAY.replace("{fake}", &fake) + more).unwrap();
        let (gateway, url) = start(folder.path());
        Self { folder, charged, gateway, url, stop, runtime }
    }

    /// Kills the gateway as a power cut would, and starts the next one.
    pub(crate) fn kill(&mut self) {
        self.gateway.kill().unwrap();
        self.gateway.wait().unwrap();
        (self.gateway, self.url) = start(self.folder.path());
    }

    /// A command at this gateway, with its good key.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.env_clear().env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.env("TRUNKLINE_GATEWAY_URL", &self.url).env("TRUNKLINE_GATEWAY_KEY", "tl-good");
        command.args(arguments);
        command
    }

    /// Puts a file where commands find it.
    pub(crate) fn put(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Stops the gateway as a person would; gives the calls in its ledger, and what the fake has charged.
    pub(crate) fn end(mut self) -> (Vec<Value>, i64) {
        let id = self.gateway.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.gateway.wait().unwrap().success());
        let ledger = std::fs::read_to_string(self.folder.path().join("ledger.jsonl")).unwrap();
        let lines = ledger.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
        let calls = lines.filter_map(|it| it.get("call").cloned()).collect();
        let input = self.charged.input_tokens.load(Ordering::Relaxed);
        let output = self.charged.output_tokens.load(Ordering::Relaxed);
        let _keeps_the_fake_until_here = &self.runtime;
        (calls, i64::try_from(input * 1000 + output * 10_000).unwrap())
    }
}
