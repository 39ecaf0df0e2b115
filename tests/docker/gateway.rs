//! Stages that call models: through the gateway of the process that runs them, to a provider on the host.

mod ends;
mod modes;

use std::sync::atomic::Ordering;

use trunkline::model::FailureClass;

use crate::bench::{Bench, place};
use crate::docker;
use crate::models::{PRICES, Provider};

/// Asks the model; what is said stays in the log.
const ASK: &str = r#"wget -q -O answer.json --header "authorization: Bearer $OPENAI_API_KEY" --header "content-type: application/json" --post-data '{"model":"m1","messages":[{"role":"user","content":"Say something."}],"max_tokens":50}' "$OPENAI_BASE_URL/chat/completions""#;

trait Benched {
    /// A repository whose stages may call it.
    fn bench(&self, stages: &str) -> Bench;
}

impl Benched for Provider {
    fn bench(&self, stages: &str) -> Bench {
        let bench = Bench::new().stages(stages);
        bench.file("trunkline.gateway.toml", &self.gateway_file()).file("prices.toml", PRICES)
    }
}

/// A container that others reach only over a network that leads out.
struct Outside {
    container: String,
    address: String,
}

impl Outside {
    fn start() -> Self {
        let serve = "echo outside >/tmp/index.html; httpd -f -p 80 -h /tmp";
        let run = ["run", "-d", "--rm", "busybox:stable", "sh", "-c", serve];
        let container = docker(&run);
        let address = docker(&["inspect", "-f", "{{.NetworkSettings.IPAddress}}", &container]);
        Self { container, address }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.container]);
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "docker {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

const SECRET: [&str; 2] = ["--secret", "PROVIDER_KEY=sk-provider-key"];

fn metric(bench: &Bench, stage: usize, name: &str) -> f64 {
    let loaded = bench.last_run().unwrap();
    let stage = loaded.run.stage(place(stage)).unwrap();
    stage.outcome().unwrap().metrics.get(name).copied().unwrap_or_default()
}

#[test]
fn a_stage_is_metered_and_its_key_ends_with_it() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let bench = provider.bench(&format!(
        "  ask:
    network: gateway
    gate: {{ llm_calls: '== 1', llm_cost_usd: '> 0' }}
    artifacts: [key]
    run: |
      {ASK}
      cat answer.json
      echo \"key $OPENAI_API_KEY, the same $ANTHROPIC_API_KEY at $ANTHROPIC_BASE_URL\"
      env | grep -c PROVIDER_KEY || true
      printf %s \"$OPENAI_API_KEY\" >key
  later:
    needs: [ask]
    network: gateway
    run: |
      OPENAI_API_KEY=$(cat key)
      {ASK}
"
    ));
    bench.run(&SECRET).expect_code(1);
    let story = bench.story();
    assert!(story.starts_with("ask: passed\nlater: failed, user: "), "{story}");
    let log = bench.log("ask");
    assert!(log.contains("\"choices\""), "{log}");
    assert!(log.contains("key ***, the same *** at http://gateway.trunkline.internal:"), "{log}");
    assert!(log.ends_with("\n0\n"), "the provider's key is in the stage: {log}");
    let late = bench.log("later");
    assert!(late.contains("401 Unauthorized"), "{late}");

    assert_eq!(provider.calls(), 1);
    let input = provider.charged.input_tokens.load(Ordering::Relaxed);
    let output = provider.charged.output_tokens.load(Ordering::Relaxed);
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let cost = (input + 10 * output) as f64 / 1e6;
    assert!((metric(&bench, 0, "llm_cost_usd") - cost).abs() < 1e-9, "{cost}");
    let shown = bench.trunkline(&["show", "last"]).expect_code(0).stdout;
    assert!(shown.contains("1 call"), "{shown}");
    let left = docker::things_of(&bench.instance());
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_stage_sends_its_spans_with_what_it_finds_in_its_environment() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let bench = provider.bench(
        r#"  traced:
    network: gateway
    services: { box: { image: 'busybox:stable', command: [sh, -c, 'echo $OTEL_SERVICE_NAME >/tmp/index.html; httpd -f -p 80 -h /tmp'], ready: { tcp: 80 } } }
    run: |
      wget -q -O- http://box/
      env | grep -E '^(OTEL_|TRACEPARENT)' | sort
      trace=$(echo "$TRACEPARENT" | cut -d- -f2) parent=$(echo "$TRACEPARENT" | cut -d- -f3)
      span='{"traceId":"'$trace'","spanId":"00000000000000aa","parentSpanId":"'$parent'","name":"index","kind":1,"startTimeUnixNano":"'$(date +%s)'000000000","endTimeUnixNano":"'$(date +%s)'000000000","attributes":[{"key":"db.system.name","value":{"stringValue":"qdrant"}},{"key":"key","value":{"stringValue":"'$OPENAI_API_KEY'"}}]}'
      wget -q -O- --header "$(echo "$OTEL_EXPORTER_OTLP_HEADERS" | sed 's/=/: /')" --header 'content-type: application/json' --post-data '{"resourceSpans":[{"scopeSpans":[{"spans":['"$span"']}]}]}' "$OTEL_EXPORTER_OTLP_ENDPOINT/v1/traces"
  own:
    network: gateway
    env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://elsewhere:4318', OTEL_SERVICE_NAME: mine }
    run: env | grep -E '^(OTEL_|TRACEPARENT)' | sort
  none:
    network: none
    run: env | grep -E '^(OTEL_|TRACEPARENT)' || echo nothing
"#,
    );
    bench.run(&SECRET).expect_code(0);
    let log = bench.log("traced");
    let run = bench.last_run().unwrap().row.id;
    for part in [
        "box\n",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://gateway.trunkline.internal:",
        "OTEL_EXPORTER_OTLP_HEADERS=x-api-key=***\n",
        "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\n",
        &format!(
            "cicd.pipeline.run.id={run},cicd.pipeline.task.name=traced,cicd.pipeline.task.run.id={run}-0-1\n"
        ),
        "OTEL_SERVICE_NAME=traced\n",
        "TRACEPARENT=00-",
    ] {
        assert!(log.contains(part), "no `{part}` in {log}");
    }
    let own = bench.log("own");
    assert_eq!(own.matches("OTEL_EXPORTER_OTLP_").count(), 1, "{own}");
    assert!(own.contains("OTEL_SERVICE_NAME=mine\n") && own.contains("TRACEPARENT=00-"), "{own}");
    assert!(bench.log("none").contains("nothing"), "{}", bench.log("none"));

    let shown = bench.trunkline(&["traces", "--run", "last"]).expect_code(0).stdout;
    assert!(shown.contains("retrieval index") && shown.contains("stage traced"), "{shown}");
    let trace = ulid::Ulid::from_string(&run.0).unwrap();
    let tree = ["traces", &format!("{:032x}", trace.0), "--json"];
    let tree = bench.trunkline(&tree).expect_code(0).stdout;
    let tree: serde_json::Value = serde_json::from_str(&tree).unwrap();
    let span = &tree["spans"][0];
    assert_eq!(
        (&span["name"], &span["attributes"]["key"]),
        (&"index".into(), &"[redacted]".into())
    );
    assert_eq!(span["attributes"]["trunkline.stage"], "traced");
}

#[test]
fn a_stage_that_its_budget_refuses_is_ended_with_class_budget_and_not_tried_again() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    // It would go on for ever, and hides what the gateway says.
    let bench = provider.bench(&format!(
        "  spend:
    network: gateway
    budget: {{ per_run: 0.002 USD }}
    retry: {{ max: 2, on: [user, infra, budget] }}
    run: |
      while true; do {ASK} || true; sleep 0.05; done
  warned:
    network: gateway
    budget: {{ tokens_per_run: 1, on_exceed: warn }}
    run: |
      {ASK}
"
    ));
    bench.run(&SECRET).expect_code(1);
    let loaded = bench.last_run().unwrap();
    let spend = loaded.run.stage(place(0)).unwrap();
    assert_eq!(spend.attempts.len(), 1, "{:?}", spend.attempts);
    let outcome = spend.outcome().unwrap();
    assert_eq!(outcome.class, Some(FailureClass::Budget), "{}", outcome.message);
    let said = "the budget `stage spend of run #1`";
    assert!(outcome.message.starts_with(said), "{}", outcome.message);
    for part in ["has 0.002 USD", "are used or reserved", "help: "] {
        assert!(outcome.message.contains(part), "no `{part}` in {}", outcome.message);
    }
    assert!(metric(&bench, 0, "llm_cost_usd") <= 0.002);
    assert!(provider.calls() > 1);
    let warned = loaded.run.stage(place(1)).unwrap().outcome().unwrap();
    assert!(warned.is_passed(), "{}", warned.message);
    assert!(warned.warnings[0].contains("`stage warned of run #1` has 1 tokens"), "{warned:?}");
}

#[test]
fn an_exceeded_budget_is_a_warning_of_stages_that_called_models_alone() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let bench = provider.bench(&format!(
        "  asks:
    network: gateway
    run: |
      {ASK}
  quiet:
    needs: [asks]
    network: gateway
    run: echo nothing
budget: {{ tokens_per_run: 1, on_exceed: warn }}
"
    ));
    bench.run(&SECRET).expect_code(0);
    let loaded = bench.last_run().unwrap();
    let warnings = |at| loaded.run.stage(place(at)).unwrap().outcome().unwrap().warnings.clone();
    assert!(warnings(0)[0].contains("`run #1` has 1 tokens"), "{:?}", warnings(0));
    assert_eq!(warnings(1), Vec::<String>::new());
}

#[test]
fn each_network_reaches_what_it_may_and_a_stage_keeps_its_own_variables() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let outside = Outside::start();
    let out = format!("timeout 3 wget -q -O- http://{}/", outside.address);
    let bench = provider.bench(&format!(
        "  full:
    network: full
    run: |
      {out}
      {ASK}
  gateway:
    network: gateway
    services: {{ box: {{ image: 'busybox:stable', command: [sh, -c, 'echo $OPENAI_BASE_URL >/tmp/index.html; httpd -f -p 80 -h /tmp'], ready: {{ tcp: 80 }} }} }}
    run: |
      if {out}; then exit 3; fi
      wget -q -O- http://box/
      {ASK}
  none:
    network: none
    run: |
      if {out}; then exit 3; fi
      [ -z \"$OPENAI_BASE_URL$OPENAI_API_KEY\" ]
  own:
    network: full
    env: {{ OPENAI_API_KEY: mine }}
    run: |
      [ \"$OPENAI_API_KEY\" = mine ] && [ -z \"$OPENAI_BASE_URL\" ] && [ -n \"$ANTHROPIC_BASE_URL\" ]
"
    ));
    bench.run(&SECRET).expect_code(0);
    assert_eq!(bench.story(), "full: passed\ngateway: passed\nnone: passed\nown: passed");
    assert!(bench.log("full").contains("outside"), "{}", bench.log("full"));
    for stage in ["gateway", "none"] {
        let log = bench.log(stage);
        assert!(!log.contains("outside") && !log.contains("Segmentation"), "{log}");
    }
    let service = bench.log("gateway");
    assert!(service.contains("http://gateway.trunkline.internal:"), "{service}");
    assert_eq!(provider.calls(), 2);
}

#[test]
fn what_else_listens_on_this_machine_is_reached_from_no_shut_network() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let own = Own::start();
    let bridge =
        docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge"]);
    // The first address of a network is that of its bridge.
    let reach = format!(
        "me=$(hostname -i | cut -d' ' -f1); for it in ${{me%.*}}.1 {bridge}; do timeout 3 wget -q -O- http://$it:{}/ && echo reached $it; done",
        own.port
    );
    let service = "{ image: 'busybox:stable', command: [sh, -c, 'echo served >/tmp/index.html; httpd -f -p 80 -h /tmp'], ready: { http: { port: 80, path: / } } }";
    let bench = provider.bench(&format!(
        "  full:
    network: full
    run: |
      {reach}; true
  gateway:
    network: gateway
    run: |
      {reach}; {ASK}
  served:
    network: none
    services: {{ box: {service} }}
    run: |
      {reach}; wget -q -O- http://box/
  both:
    network: gateway
    services: {{ box: {service} }}
    run: |
      {reach}; wget -q -O- http://box/ && {ASK}
"
    ));
    bench.run(&SECRET).expect_code(0);
    assert_eq!(bench.story(), "full: passed\ngateway: passed\nserved: passed\nboth: passed");
    assert!(bench.log("full").contains("reached"), "nobody listens: {}", bench.log("full"));
    for stage in ["gateway", "served", "both"] {
        assert!(!bench.log(stage).contains("reached"), "{stage}: {}", bench.log(stage));
    }
    assert!(bench.log("both").contains("served"), "{}", bench.log("both"));
    assert_eq!(provider.calls(), 2);
    let left = docker::things_of(&bench.instance());
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_a_gateway_nothing_is_reached_from_a_network_that_leads_to_it() {
    if !docker::is_here() {
        return;
    }
    let own = Own::start();
    let reach = format!(
        "for it in $(hostname -i) {bridge}; do timeout 3 wget -q -O- http://${{it%.*}}.1:{port}/ && echo reached $it; done",
        bridge =
            docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge"]),
        port = own.port,
    );
    let service = "{ image: 'busybox:stable', command: [sh, -c, 'echo served >/tmp/index.html; httpd -f -p 80 -h /tmp'], ready: { http: { port: 80, path: / } } }";
    let bench = Bench::new().stages(&format!(
        "  full:
    network: full
    run: |
      {reach}; true
  alone:
    network: gateway
    run: |
      {reach}; ! ip route | grep .
  served:
    network: gateway
    services: {{ box: {service}, told: {{ image: 'busybox:stable', command: [sleep, '60'] }} }}
    run: |
      {reach}; wget -q -O- http://box/
"
    ));
    bench.run(&[]).expect_code(0);
    assert_eq!(bench.story(), "full: passed\nalone: passed\nserved: passed");
    assert!(bench.log("full").contains("reached"), "nobody listens: {}", bench.log("full"));
    for stage in ["alone", "served"] {
        assert!(!bench.log(stage).contains("reached"), "{stage}: {}", bench.log(stage));
    }
    assert!(bench.log("served").contains("served"), "{}", bench.log("served"));
    let left = docker::things_of(&bench.instance());
    assert!(left.is_empty(), "{left:?}");
}

/// Something that listens on every address of this machine.
struct Own {
    port: u16,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Own {
    fn start() -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
        let is_over = stop.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.unwrap();
                let _asked = stream.read(&mut [0; 1024]);
                let _told = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nours\n");
            }
        });
        Self { port, stop }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(std::net::TcpStream::connect(("127.0.0.1", self.port)));
    }
}

#[test]
fn a_container_that_outlives_the_engine_goes_on_calling() {
    if !docker::is_here() {
        return;
    }
    let provider = Provider::start();
    let bench = provider.bench(&format!(
        "  long:
    network: gateway
    run: |
      {ASK}
      echo first >&2
      sleep 4
      for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do {ASK} && exit 0; sleep 1; done
      exit 1
"
    ));
    let mut first = bench.command(&["run", SECRET[0], SECRET[1]]).spawn().unwrap();
    let started = std::time::Instant::now();
    while provider.calls() == 0 {
        assert!(started.elapsed().as_secs() < 60, "the stage never called");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    first.kill().unwrap();
    first.wait().unwrap();
    bench.trunkline(&["resume", "last", SECRET[0], SECRET[1]]).expect_code(0);
    assert_eq!(bench.story(), "long: passed");
    assert_eq!(provider.calls(), 2);
}

#[test]
fn without_a_gateway_a_stage_is_told_why_nothing_answers() {
    if !docker::is_here() {
        return;
    }
    let bench = Bench::new()
        .stages("  s: { network: gateway, run: '[ -z \"$OPENAI_BASE_URL\" ] && echo nothing' }\n");
    bench.run(&[]).expect_code(0);
    let log = bench.log("s");
    assert!(log.contains("no LLM gateway is set up here"), "{log}");
}

#[test]
fn an_app_calls_a_server_with_the_key_of_its_team_until_that_is_revoked() {
    let provider = Provider::start();
    let bench = provider.bench("");
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (apps, pages) = (free(), free());
    let file = bench.repository().join("trunkline.gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("listen = \"{apps}\"\n{text}")).unwrap();
    bench.trunkline(&["team", "add", "search"]).expect_code(0);
    let create = ["gateway", "key", "create", "--team", "search", "shop", "--model", "m*"];
    let key = bench.trunkline(&create).expect_code(0).stdout.trim().to_owned();
    assert!(key.starts_with("tl-"), "{key}");
    let again = bench.trunkline(&create).expect_code(2).stderr;
    assert!(again.contains("the team `search` has a valid key `shop`"), "{again}");

    let mut serve = bench.command(&["serve", "--slots", "0", "--listen", &pages.to_string()]);
    serve.env("TRUNKLINE_GATEWAY", &file).env("PROVIDER_KEY", "sk-provider-key");
    let mut serve = Server(serve.spawn().unwrap());
    wait_for(|| std::net::TcpStream::connect(apps).is_ok());
    assert!(ask(apps, &key).starts_with("HTTP/1.1 200 "), "{}", ask(apps, &key));
    assert!(ask(apps, "tl-other").starts_with("HTTP/1.1 401 "));
    let listed = bench.trunkline(&["gateway", "key", "list", "--team", "search"]).expect_code(0);
    assert!(!listed.stdout.contains(&key), "{}", listed.stdout);
    assert!(listed.stdout.starts_with("shop  made "), "{}", listed.stdout);
    bench.trunkline(&["gateway", "key", "revoke", "--team", "search", "shop"]).expect_code(0);
    wait_for(|| ask(apps, &key).starts_with("HTTP/1.1 401 "));
    serve.end();
    let audit = bench.trunkline(&["audit"]).expect_code(0).stdout;
    for action in ["gateway_key.create", "gateway_key.revoke"] {
        assert!(audit.contains(action), "no `{action}` in {audit}");
    }
    assert!(!audit.contains(&key));
}

/// A server that ends with this value.
struct Server(std::process::Child);

impl Server {
    fn end(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

#[track_caller]
fn wait_for(is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed().as_secs() < 60, "it never comes");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// One call, and its whole answer as text.
fn ask(address: std::net::SocketAddr, key: &str) -> String {
    use std::io::{Read as _, Write as _};
    let body = r#"{"model":"m1","messages":[{"role":"user","content":"Hi"}],"max_tokens":5}"#;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nconnection: close";
    let length = body.len();
    let request =
        format!("{head}\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
