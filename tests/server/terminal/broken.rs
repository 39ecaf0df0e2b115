//! Servers that are away, that are none, that cannot be trusted, and that answer only in the end.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Terminal, parts};

/// Answers requests one after the other with these, and remembers the requests.
struct Script {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _task: tokio::task::JoinSet<()>,
}

impl Script {
    async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut answers: VecDeque<String> = answers.iter().map(|it| (*it).to_owned()).collect();
        let seen = Arc::clone(&asked);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move {
            while let Some(answer) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 64 * 1024];
                let length = stream.read(&mut bytes).await.unwrap();
                seen.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { address, asked, _task: task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

const JSON: &str = "content-type: application/json\r\n";
const PROBLEM: &str = "content-type: application/problem+json\r\n";

fn with_token(url: &str) -> Terminal {
    let mut terminal = Terminal::new();
    terminal.env =
        vec![("TRUNKLINE_SERVER", url.to_owned()), ("TRUNKLINE_TOKEN", "tlt_secret".to_owned())];
    terminal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let terminal = with_token(&url);
    let errors = terminal.complains(3, &["runs"]);
    assert!(errors.starts_with(&format!("error: `{url}` cannot be reached: ")), "{errors}");
    assert!(errors.contains("Connection refused") && errors.contains("help: look at"), "{errors}");
    let json: Value = serde_json::from_str(&terminal.complains(3, &["runs", "--json"])).unwrap();
    assert_eq!(json["exit_code"], 3);
    let unknown = with_token("http://nowhere.invalid").complains(3, &["runs"]);
    assert!(unknown.contains("`http://nowhere.invalid` cannot be reached"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_server_of_ours_is_told() {
    let page = "<html>hello</html>";
    for (answer, code, wanted) in [
        (answer("200 OK", "content-type: text/html\r\n", page), 2, "its answer is not JSON"),
        (
            answer("404 Not Found", "content-type: text/html\r\n", page),
            2,
            "not as a Trunkline server",
        ),
        (answer("200 OK", JSON, "{\"hello\": 1}"), 2, "is not what this version expects"),
        (
            answer("301 Moved Permanently", "location: https://ci.example.org/\r\n", ""),
            2,
            "sends callers on to `https://ci.example.org/`",
        ),
        (
            answer("500 Internal Server Error", PROBLEM, "{\"title\": \"it broke\"}"),
            3,
            "error: it broke",
        ),
        (
            answer("422 Unprocessable", PROBLEM, "{\"title\": \"no\", \"help\": \"Ask.\"}"),
            2,
            "help: Ask.",
        ),
        (answer("409 Conflict", PROBLEM, "{\"title\": \"taken\"}"), 2, "error: taken"),
        (
            answer("429 Slow", &format!("{PROBLEM}retry-after: 600\r\n"), "{\"title\": \"slow\"}"),
            3,
            "in 600 s",
        ),
    ] {
        let script = Script::start(&[&answer]).await;
        let errors = with_token(&script.url()).complains(code, &["runs"]);
        assert!(errors.contains(wanted), "{answer}\n{errors}");
        assert!(!errors.contains("tlt_secret"), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_go_well_later_is_tried_again_and_counts_once() {
    let busy = answer("503 Busy", &format!("{PROBLEM}retry-after: 0\r\n"), "{\"title\": \"busy\"}");
    let made = r#"{"id":"1","team":"shop","name":"web","address":"a","forge":"git","forge_path":"",
        "default_branch":"main","created_at":0}"#;
    let script = Script::start(&[&busy, "", &answer("201 Created", JSON, made)]).await;
    let terminal = with_token(&script.url());
    let create = ["project", "create", "shop/web", "--address", "https://forge.example/shop/web"];
    assert!(terminal.says(&create).starts_with("made `shop/web`"));
    let asked = script.asked();
    assert_eq!(asked.len(), 3, "a refusal, a connection that broke, and an answer");
    let key = |request: &String| {
        let line = request.lines().find(|it| it.starts_with("idempotency-key: "));
        line.unwrap().to_owned()
    };
    assert!(asked.iter().all(|it| key(it) == key(&asked[0])), "{asked:?}");

    let script = Script::start(&[&busy, &busy, &busy, &busy, &busy]).await;
    assert!(with_token(&script.url()).complains(3, &["runs"]).contains("error: busy"));
    assert_eq!(script.asked().len(), 4, "it does not go on for ever");
}

/// A server that speaks TLS with a certificate that nobody has signed.
struct Tls {
    child: Child,
    url: String,
}

impl Tls {
    fn start(terminal: &Terminal) -> Option<Self> {
        let (key, certificate) = (terminal.path("key.pem"), terminal.path("ca.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
            .args(["/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|it| it.success()) {
            eprintln!("SKIPPED: there is no `openssl`");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new("openssl");
        server.args([
            "s_server",
            "-quiet",
            "-www",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-key",
        ]);
        server.arg(&key).arg("-cert").arg(&certificate).stdout(Stdio::null()).stderr(Stdio::null());
        let child = server.spawn().unwrap();
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        Some(Self { child, url: format!("https://127.0.0.1:{port}") })
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_certificate_that_nobody_knows_is_refused_unless_it_is_given() {
    let mut terminal = Terminal::new();
    let Some(tls) = Tls::start(&terminal) else { return };
    terminal.env = vec![("TRUNKLINE_TOKEN", "tlt_secret".to_owned())];
    let arguments = ["runs", "--server", &tls.url];
    let errors = terminal.complains(3, &arguments);
    assert!(
        errors.contains(&format!("the certificate of `{}` is not trusted", tls.url)),
        "{errors}"
    );
    assert!(
        errors.contains("help: name the certificate of its authority with `--ca FILE`"),
        "{errors}"
    );
    // It is trusted now, and answers with a page.
    let ca = terminal.path("ca.pem").display().to_string();
    let errors = terminal.complains(2, &["runs", "--server", &tls.url, "--ca", &ca]);
    assert!(errors.contains("its answer is not JSON"), "{errors}");
    let key = terminal.path("nothing.pem").display().to_string();
    let errors = terminal.complains(2, &["runs", "--server", &tls.url, "--ca", &key]);
    assert!(errors.contains("cannot be read"), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_of_the_environment_is_used_unless_the_host_is_named() {
    let page = answer("200 OK", JSON, "{\"items\": []}");
    let proxy = Script::start(&[&page]).await;
    let mut terminal = with_token("http://ci.invalid");
    terminal.env.push(("http_proxy", proxy.url()));
    assert_eq!(terminal.says(&["runs"]), "no runs; a push to a project starts one\n");
    assert!(
        proxy.asked()[0].starts_with("GET http://ci.invalid/api/v1/runs?"),
        "{:?}",
        proxy.asked()
    );
    terminal.env.push(("NO_PROXY", "ci.invalid".to_owned()));
    assert!(terminal.complains(3, &["runs"]).contains("cannot be reached"));
}

#[test]
fn a_server_for_what_only_this_machine_can_do_is_a_mistake() {
    let terminal = Terminal::new();
    for (arguments, wanted) in [
        (&["gc", "--server", "ci"][..], "`trunkline gc` works on this machine"),
        (&["run", "--server", "ci"], "`ci` cannot run what is on this machine"),
        (&["runs", "--project", "shop/web"], "only runs of a server have a project"),
        (&["runs", "--server", "ftp://ci"], "its scheme is neither"),
        (&["project", "list"], "no server is chosen"),
        (&["login"], "no server is named"),
        (
            &["approve", "1", "x", "--by", "eve", "--server", "ci"],
            "`--by` and `--team` are for runs of this",
        ),
        (
            &["rerun", "1", "--secret", "A", "--server", "ci"],
            "`--secret` is for runs that this machine",
        ),
    ] {
        let (_, errors, code) = parts(&terminal.output("", arguments));
        assert_eq!(code, Some(2), "{arguments:?} {errors}");
        assert!(errors.contains(wanted), "{arguments:?} {errors}");
    }
}
