//! OpenTelemetry's own SDK for Python, unchanged, against the built gateway: set up by the variables that a stage has,
//! and what it sends arrives at a collector with the calls that it made meanwhile.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clients::sdks;
use crate::world::World;

/// Keeps what is sent to it, and is away at first.
struct Collector {
    url: String,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Collector {
    fn start() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, listener) = (asked.clone(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let (head, body) = read(&mut stream);
                let status = if number == 0 { "503 Service Unavailable" } else { "200 OK" };
                if number > 0 {
                    kept.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
                }
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
                );
                std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    /// All spans, with the name of the service that has made each.
    fn spans(&self) -> Vec<(String, Value)> {
        let asked = self.asked.lock().unwrap();
        let groups = asked.iter().flat_map(|it| it.1["resourceSpans"].as_array().unwrap());
        let of_group = |group: &Value| {
            let service = attribute(&group["resource"], "service.name");
            let scopes = group["scopeSpans"].as_array().unwrap().clone();
            let spans = scopes.into_iter().flat_map(|it| it["spans"].as_array().unwrap().clone());
            spans.map(|it| (service.clone(), it)).collect::<Vec<_>>()
        };
        groups.flat_map(of_group).collect()
    }

    fn wait_for(&self, count: usize) -> Vec<(String, Value)> {
        let began = Instant::now();
        while self.spans().len() < count && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.spans()
    }
}

/// The head of a request, and its body.
fn read(stream: &mut std::net::TcpStream) -> (String, Vec<u8>) {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if let Some(body) = all.get(head.len() + 4..).filter(|it| it.len() >= length) {
                return (head, body.to_vec());
            }
        }
        let count = std::io::Read::read(stream, &mut piece).unwrap();
        all.extend_from_slice(&piece[..count]);
    }
}

fn attribute(of: &Value, name: &str) -> String {
    let all = of["attributes"].as_array().unwrap();
    let found = all.iter().find(|it| it["key"] == name);
    found.map_or(String::new(), |it| it["value"]["stringValue"].as_str().unwrap_or("?").to_owned())
}

#[test]
fn spans_of_the_official_sdk_arrive_with_the_calls_below_them() {
    let Some(sdks) = sdks() else { return };
    let collector = Collector::start();
    let world = World::with(&format!("[traces]\nendpoint = \"{}/\"\n", collector.url));
    let mut command = Command::new(sdks.join("bin/python"));
    command.arg("tests/gateway/sdks/with_opentelemetry.py").env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("GATEWAY", &world.url).env("KEY", "tl-good");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/otlp", world.url));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=tl-good");
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    command.env("OTEL_SERVICE_NAME", "shop");
    command.env("OTEL_RESOURCE_ATTRIBUTES", "cicd.pipeline.task.name=unit%20%283.12%29");
    let status = command.status().unwrap();
    assert!(status.success(), "what went wrong is told above");

    // Those of the app, the call, and the time that it was sent.
    let spans = collector.wait_for(7);
    let named = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|it| it.1["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}: {spans:#?}");
        found[0]
    };
    let root = named("invoke_agent planner");
    assert_eq!(root.0, "shop");
    for (name, kind) in [("execute_tool search", 1), ("SELECT docs", 3), ("ask", 3)] {
        let (service, span) = named(name);
        assert_eq!((service.as_str(), &span["kind"]), ("shop", &Value::from(kind)), "{span:#?}");
        assert_eq!(span["traceId"], root.1["traceId"]);
    }
    assert_eq!(named("SELECT docs").1["parentSpanId"], named("execute_tool search").1["spanId"]);
    assert_eq!(attribute(&named("SELECT docs").1, "db.system.name"), "postgresql");
    let failed = &named("execute_tool broken").1;
    assert_eq!(failed["status"]["code"], 2);
    assert_eq!(failed["events"][0]["name"], "exception");
    assert!(!spans.iter().any(|it| it.1.to_string().contains("Ada")), "{spans:#?}");

    let calls: Vec<_> = spans.iter().filter(|it| it.1["name"] == "chat m1").collect();
    assert_eq!(calls.len(), 2, "the call, and the time that it was sent: {spans:#?}");
    let call = calls.iter().find(|it| it.1["kind"] == 2).unwrap();
    assert_eq!(
        (call.0.as_str(), &call.1["parentSpanId"]),
        ("trunkline", &named("ask").1["spanId"])
    );
    assert_eq!(call.1["traceId"], root.1["traceId"]);
    drop(world);
}
