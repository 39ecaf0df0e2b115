//! What is measured, as processes: each on a port of its own, ended with its value.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::setting;

/// The answer of the upstream.
const ANSWER: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"Tomorrow it rains in the morning. In the afternoon the sun comes out.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":15,"total_tokens":46}}"#;
/// The key of clients.
pub(crate) const KEY: &str = "tl-bench";

/// A folder for files of processes, and where `deploy/gateway-floors` has put them.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    floors: PathBuf,
}

/// Something that answers.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    child: Child,
}

impl Peer {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it the way a person does, so that what it has in hand is written.
    pub(crate) fn end(mut self) {
        let id = self.child.id().to_string();
        let _it_may_have_ended = Command::new("kill").args(["-INT", &id]).status();
        let _status = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked first: nginx and LiteLLM end their own children only then.
        let id = self.child.id().to_string();
        let _it_may_have_ended = Command::new("kill").args(["-TERM", &id]).status();
        let deadline = Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _it_may_have_ended = self.child.kill();
        let _nobody_asks = self.child.wait();
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let floors = setting("FLOORS").unwrap_or_else(|| "target/floors".to_owned());
        let floors = std::path::absolute(floors).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), floors }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A program that the script has unpacked, with the libraries beside it; or one of this machine.
    pub(crate) fn program(&self, name: &str) -> Option<Command> {
        let own = ["usr/sbin", "usr/bin"].map(|it| self.floors.join(it).join(name));
        let path = own.into_iter().find(|it| it.exists());
        let path = path.or_else(|| {
            let found = Command::new("which").arg(name).output().ok()?;
            let found = String::from_utf8(found.stdout).ok()?;
            (!found.trim().is_empty()).then(|| PathBuf::from(found.trim()))
        })?;
        let mut command = Command::new(path);
        command.env("LD_LIBRARY_PATH", self.floors.join("usr/lib/x86_64-linux-gnu"));
        Some(command)
    }

    /// nginx, as an upstream with a fixed answer or in front of one.
    fn nginx(&self, name: &'static str, location: &str) -> Option<Peer> {
        let (address, folder) = (free(), self.folder.path().join(name));
        let upstream = location.strip_prefix("proxy ").map(|it| {
            format!("upstream model {{ server {it}; keepalive 128; keepalive_requests 1000000; }}")
        });
        let does = match &upstream {
            Some(_) => "proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off;".to_owned(),
            None => format!("default_type application/json; return 200 '{location}';"),
        };
        let upstream = upstream.unwrap_or_default();
        let config = format!(
            "daemon off; worker_processes 2; pid nginx.pid; error_log stderr crit; worker_rlimit_nofile 19000;\n\
             events {{ worker_connections 9000; }}\n\
             http {{ access_log off; keepalive_requests 1000000; tcp_nodelay on; client_max_body_size 32m;\n\
             client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;\n\
             {upstream}\nserver {{ listen {address} backlog=4096; location / {{ {does} }} }} }}\n"
        );
        let config = self.file(&format!("{name}/nginx.conf"), &config);
        let mut command = self.program("nginx")?;
        command.arg("-p").arg(&folder).arg("-c").arg(config).arg("-e").arg("stderr");
        Some(started(name, address, &mut command, 10))
    }

    /// The upstream: the fastest that is there.
    pub(crate) fn upstream(&self) -> Option<Peer> {
        self.nginx("upstream alone", ANSWER)
    }

    pub(crate) fn nginx_before(&self, upstream: &str) -> Option<Peer> {
        self.nginx("nginx proxy_pass", &format!("proxy {upstream}"))
    }

    /// The upstream of streams.
    pub(crate) fn streams() -> Peer {
        let address = free();
        let program = std::env::current_exe().unwrap();
        started(
            "stream alone",
            address.clone(),
            Command::new(program).env("BENCH_UPSTREAM", address),
            10,
        )
    }

    /// A collector of traces.
    pub(crate) fn collector() -> Peer {
        let address = free();
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        started("collector", address.clone(), command.env("BENCH_COLLECTOR", address), 10)
    }

    /// Ours, with everything on but traces.
    pub(crate) fn gateway(&self, upstream: &str) -> Peer {
        self.ours("trunkline gateway", upstream, "")
    }

    /// Ours, which sends its traces to a collector, too.
    pub(crate) fn traced_gateway(&self, upstream: &str, collector: &str) -> Peer {
        let traces = format!("[traces]\nendpoint = \"http://{collector}\"\nper_second = 1000\n");
        self.ours("the same, with traces", upstream, &traces)
    }

    fn ours(&self, name: &'static str, upstream: &str, more: &str) -> Peer {
        let address = free();
        let folder = self.folder.path();
        self.file("prices.toml", PRICES);
        let _of_an_earlier_part = std::fs::remove_file(folder.join("ledger.jsonl"));
        let text = GATEWAY.replace("{upstream}", upstream).replace("{address}", &address);
        let file = self.file("gateway.toml", &(text + more));
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command
            .env("PROVIDER_KEY", "sk-bench")
            .env("CLIENT_KEY", KEY)
            .env("TRUNKLINE_LOG", "error");
        command.arg("gateway").arg("--config").arg(file);
        started(name, address, &mut command, 10)
    }

    /// Lines of calls that ours has written down.
    pub(crate) fn calls_in_ledger(&self) -> usize {
        let ledger = std::fs::read_to_string(self.folder.path().join("ledger.jsonl"));
        ledger.unwrap_or_default().lines().filter(|it| it.starts_with("{\"call\"")).count()
    }

    pub(crate) fn litellm(&self, upstream: &str) -> Option<Peer> {
        let program = self.floors.join("litellm/bin/litellm");
        if !program.exists() {
            return None;
        }
        let address = free();
        let config = LITELLM.replace("{upstream}", upstream).replace("{key}", KEY);
        let config = self.file("litellm.yaml", &config);
        let (host, port) = address.split_once(':').unwrap();
        let mut command = Command::new(program);
        command.args([
            "--host",
            host,
            "--port",
            port,
            "--num_workers",
            "1",
            "--telemetry",
            "False",
            "--config",
        ]);
        command.arg(config).env("LITELLM_LOG", "ERROR").env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        Some(started("LiteLLM, one worker", address, &mut command, 180))
    }
}

const PRICES: &str = "version = 1\ncurrency = \"USD\"\n[[price]]\nid = \"bench\"\nprovider = \"bench\"\nmodel = \"bench\"\n\
                      per_million = { input = \"0.15\", output = \"0.60\" }\n";

const GATEWAY: &str = r#"
listen = "{address}"
prices = ["prices.toml"]
ledger = "ledger.jsonl"
[[provider]]
name = "bench"
dialect = "openai"
url = "http://{upstream}"
key_variables = ["PROVIDER_KEY"]
[[route]]
model = ["other", "bench"]
to = [{ provider = "bench" }]
[[key]]
name = "bench"
variable = "CLIENT_KEY"
per_minute = 100000000
subject = { team = "core", project = "core/app", run = "r1", stage = "eval" }
[[budget]]
id = "each run"
scope = { run = "*" }
window = "whole"
usd = "1000000"
[[budget]]
id = "core, a month"
scope = { team = "core" }
window = "month"
usd = "1000000"
tokens = 1000000000000
"#;

const LITELLM: &str = r#"
model_list:
  - model_name: bench
    litellm_params: { model: openai/bench, api_base: "http://{upstream}/v1", api_key: sk-bench }
general_settings: { master_key: "{key}" }
litellm_settings: { callbacks: [], set_verbose: false, telemetry: false }
"#;

fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn started(name: &'static str, address: String, command: &mut Command, seconds: u64) -> Peer {
    let quiet = if setting("BENCH_TELL").is_some() { Stdio::inherit } else { Stdio::null };
    let child = command.stdin(Stdio::null()).stdout(quiet()).stderr(quiet()).spawn().unwrap();
    let mut peer = Peer { name, address, child };
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while TcpStream::connect(&peer.address).is_err() {
        assert!(
            peer.child.try_wait().unwrap().is_none(),
            "`{name}` has ended; BENCH_TELL=1 shows why"
        );
        assert!(Instant::now() < deadline, "`{name}` does not listen; BENCH_TELL=1 shows why");
        std::thread::sleep(Duration::from_millis(50));
    }
    peer
}

/// A script for `wrk` that makes the same call.
pub(crate) fn lua(folder: &Path, request: &[u8]) -> PathBuf {
    let request = String::from_utf8_lossy(request);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let headers = head.lines().skip(1).filter_map(|it| it.split_once(": "));
    let headers = headers.filter(|it| it.0 != "content-length" && it.0 != "host");
    let headers: String =
        headers.map(|it| format!("wrk.headers[\"{}\"] = \"{}\"\n", it.0, it.1)).collect();
    let path = folder.join("call.lua");
    std::fs::write(&path, format!("wrk.method = \"POST\"\nwrk.body = [[{body}]]\n{headers}"))
        .unwrap();
    path
}
