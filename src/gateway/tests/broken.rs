//! Providers and clients that do what they should not: each call comes to an end, and to a place in the ledger.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::raw::{Raw, Then};
use super::world::{KEY, World, asks};

const CHAT: &str = "/v1/chat/completions";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

fn asks_raw(is_stream: bool) -> String {
    asks(is_stream, "").replace("\"m1\"", "\"m-raw\"")
}

/// What a provider sends, what it does then, and the statuses that a client may get.
fn misdeeds() -> Vec<(&'static str, String, Then, &'static [u16])> {
    let large = "x".repeat(600_000);
    let half = "content-length: 100\r\n\r\n{\"choices\":";
    vec![
        ("nothing", String::new(), Then::Close, &[502]),
        ("no HTTP", "hello\r\n\r\n".to_owned(), Then::Close, &[502]),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-ty".to_owned(), Then::Close, &[502]),
        ("a giant head", format!("{OK}x-large: {large}\r\n\r\n"), Then::Close, &[502]),
        ("half a body", format!("{OK}{half}"), Then::Close, &[502]),
        ("half a body, and silence", format!("{OK}{half}"), Then::Wait, &[504]),
        ("silence", String::new(), Then::Wait, &[504]),
        ("a head, and silence", format!("{EVENTS}\r\n"), Then::Wait, &[504]),
        ("a giant body", format!("{OK}content-length: 600000\r\n\r\n{large}"), Then::Close, &[502]),
        ("chunks that are none", format!("{OK}transfer-encoding: chunked\r\n\r\nzz\r\n"), Then::Close, &[502]),
        ("a page", "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>".to_owned(), Then::Close, &[502]),
        ("no content", "HTTP/1.1 204 No Content\r\n\r\n".to_owned(), Then::Close, &[204]),
        ("another place", "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n".to_owned(), Then::Close, &[502]),
        ("a continue first", format!("HTTP/1.1 100 Continue\r\n\r\n{OK}content-length: 2\r\n\r\n{{}}"), Then::Close, &[200]),
        ("an empty stream", format!("{EVENTS}connection: close\r\n\r\n"), Then::Close, &[502]),
        ("an empty answer", format!("{OK}content-length: 0\r\n\r\n"), Then::Close, &[502]),
        ("a blank answer", format!("{OK}content-length: 2\r\n\r\n\n\n"), Then::Close, &[502]),
        ("half an answer", format!("{OK}connection: close\r\n\r\n{{\"choices\":"), Then::Close, &[502]),
        ("half a word", format!("{OK}content-length: 11\r\n\r\n{{\"choices\":"), Then::Close, &[502]),
        ("JSON as a stream", format!("{EVENTS}content-length: 2\r\n\r\n{{}}"), Then::Close, &[200]),
        ("two answers", format!("{OK}content-length: 2\r\n\r\n{{}}{OK}content-length: 2\r\n\r\n{{}}"), Then::Close, &[200]),
    ]
}

#[tokio::test]
async fn a_provider_that_breaks_the_rules_breaks_nothing_else() {
    let raw = Raw::start().await;
    let limits = "first_token_ms = 300, total_ms = 600, answer_bytes = 100000";
    let world = World::new(&raw.settings(limits)).await;
    let misdeeds = misdeeds();
    let answers = misdeeds.iter().map(|it| (it.1.clone().into_bytes(), it.2));
    *raw.answers.lock().unwrap() = answers.collect();
    for (number, (name, _, _, statuses)) in misdeeds.iter().enumerate() {
        for is_stream in [false, true] {
            let begun = Instant::now();
            let number = number.to_string();
            let reply = world.post(CHAT, &asks_raw(is_stream), &[("x-raw", &number)]).await;
            assert!(begun.elapsed() < Duration::from_secs(5), "{name} hangs");
            assert!(statuses.contains(&reply.status), "{name}, stream {is_stream}: {reply:?}");
            assert!(!reply.is_broken, "{name}, stream {is_stream}: {reply:?}");
            open_again(&world);
        }
    }
    world.settled().await;
    let rows = world.rows();
    assert!(
        rows.len() >= 2 * misdeeds.len(),
        "each call has a row, and some that opened the way again"
    );
    world.end().await;
}

/// A way that failed too often is closed; these tests are not about that.
fn open_again(world: &World) {
    *world.core.breakers() = crate::gateway::route::Breakers::default();
}

#[tokio::test]
async fn every_status_of_a_provider_reaches_the_client_or_is_the_gateways_matter() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    let body = r#"{"error":{"message":"so it is"}}"#;
    let answer = |status: u16| {
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let statuses: Vec<u16> = (400..600).collect();
    let answers = statuses.iter().map(|it| (answer(*it).into_bytes(), Then::Close));
    *raw.answers.lock().unwrap() = answers.collect();
    for (number, status) in statuses.iter().enumerate() {
        let path = if number % 2 == 0 { CHAT } else { "/v1/messages" };
        let headers = [("x-raw", &*number.to_string())];
        let reply = world.post(path, &asks_raw(number % 3 == 0), &headers).await;
        if matches!(status, 401 | 403) {
            assert_eq!(reply.status, 502, "its own key is the gateway's matter");
        } else {
            assert_eq!((reply.status, &*reply.body), (*status, body));
        }
        open_again(&world);
    }
    world.settled().await;
    assert_eq!((world.rows().len(), world.cost().0), (200, 0), "errors cost nothing");
    world.end().await;
}

/// A client with its hands on the bytes.
async fn client(world: &World, body: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(world.address.trim_start_matches("http://")).await.unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nx-raw: 0\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_left_and_charged() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("stalled_ms = 300")).await;
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "word ".repeat(200)
    );
    let head = format!("{EVENTS}connection: close\r\n\r\n{event}").into_bytes();
    *raw.answers.lock().unwrap() = vec![(head, Then::Repeat)];
    let body = asks_raw(true);
    let stream = client(&world, &body, body.len()).await;
    let mut rows = Vec::new();
    for _ in 0..500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        rows.extend(world.rows());
        if !rows.is_empty() {
            break;
        }
    }
    assert_eq!((rows.len(), world.ledger().open_calls()), (1, 0));
    let flags = rows[0]["flags"].to_string();
    assert!(flags.contains("client_gone") && flags.contains("estimated"), "{flags}");
    assert!(rows[0]["usage"]["output"].as_u64().unwrap() > 1000, "{}", rows[0]);
    drop(stream);
    world.end().await;
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_is_told_so() {
    let world = World::new("limits = { request_ms = 200 }").await;
    let body = asks(false, "");
    let mut stream = client(&world, &body, body.len() + 1).await;
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(5), read).await.expect("it hangs").unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("did not come in time"),
        "{answer}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_client_that_asks_nothing_in_time_holds_no_place_of_others() {
    let world = World::new("limits = { request_ms = 300, connections = 2 }").await;
    let address = world.address.trim_start_matches("http://");
    let half = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bear");
    let mut clients = Vec::new();
    for said in ["", half.as_str()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        clients.push(stream);
    }
    // Both places are theirs.
    let body = asks(false, "");
    let reply = world.post(CHAT, &body, &[]);
    let reply = tokio::time::timeout(Duration::from_secs(5), reply).await.expect("it waits");
    assert_eq!(reply.status, 200, "{reply:?}");
    for mut stream in clients {
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(5), read).await;
        assert!(read.is_ok() && answer.is_empty(), "{answer:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_connection_is_kept_for_a_client_that_has_asked() {
    let world = World::new("limits = { request_ms = 300 }").await;
    let address = world.address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answers = Vec::new();
    for number in 1..=2 {
        let asks =
            format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n\r\n");
        stream.write_all(asks.as_bytes()).await.unwrap();
        while String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count() < number {
            let read = stream.read_buf(&mut answers);
            let read = tokio::time::timeout(Duration::from_secs(5), read).await.expect("it hangs");
            assert_ne!(read.unwrap(), 0, "it was closed");
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_giant_request_is_refused_while_it_is_still_coming() {
    let world = World::new("limits = { request_bytes = 1000 }").await;
    let giant = "x".repeat(3_000_000);
    let reply = world.post(CHAT, &giant, &[]).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    let stranger = world.post(CHAT, &giant, &[("authorization", "Bearer wrong")]).await;
    assert_eq!(stranger.status, 401, "{stranger:?}");
    world.end().await;
}

fn answer(status: &str, more: &str, body: &str) -> (Vec<u8>, Then) {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {length}\r\n\r\n{body}"
    );
    (text.into_bytes(), Then::Close)
}

#[tokio::test]
async fn what_a_provider_says_of_itself_is_written_down_without_what_no_table_holds() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}"#;
    let models = ["m-\\u0000x".to_owned(), "m".repeat(6_000)];
    let said = |it: &String| answer("200 OK", "", &format!(r#"{{"model":"{it}",{usage}}}"#));
    *raw.answers.lock().unwrap() = models.iter().map(said).collect();
    for (number, written) in ["m-x".to_owned(), "m".repeat(200)].into_iter().enumerate() {
        let reply = world.post(CHAT, &asks_raw(false), &[("x-raw", &number.to_string())]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(world.rows()[0]["answered_by"], written);
    }
    world.end().await;
}

/// The provider of `m-raw`, with a key.
fn with_key(raw: &Raw) -> String {
    let keyed = "dialect = \"openai\"\nkey_variables = [\"PROVIDER_KEY\"]";
    raw.settings("").replace("dialect = \"openai\"", keyed)
}

#[tokio::test]
async fn the_key_of_a_provider_does_not_come_back_with_what_it_says() {
    let raw = Raw::start().await;
    let world = World::new(&with_key(&raw)).await;
    let body = r#"{"error":{"message":"no key like `sk-provider` (Bearer sk-provider)"}}"#;
    let statuses = ["200 OK", "400 X", "404 X", "429 X", "500 X"];
    let said = |it: &&str| answer(it, "x-said: Bearer sk-provider\r\n", body);
    *raw.answers.lock().unwrap() = statuses.iter().map(said).collect();
    for (number, status) in statuses.iter().enumerate() {
        let reply = world.post(CHAT, &asks_raw(false), &[("x-raw", &number.to_string())]).await;
        open_again(&world);
        if status.starts_with("200") {
            let message = "the provider answers with an error alone: no key like `[redacted]` (Bearer [redacted])";
            assert_eq!(reply.json()["error"]["message"], message);
            continue;
        }
        assert_eq!(reply.body, body.replace("sk-provider", "[redacted]"));
        assert_eq!(reply.header("x-said"), "[redacted]");
    }
    world.end().await;
}

/// A stream in chunks of so many bytes.
fn chunked(text: &str, size: usize) -> (Vec<u8>, Then) {
    let mut answer =
        format!("{EVENTS}x-said: Bearer sk-provider\r\ntransfer-encoding: chunked\r\n\r\n");
    for piece in text.as_bytes().chunks(size) {
        let piece = std::str::from_utf8(piece).unwrap();
        answer.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    (format!("{answer}0\r\n\r\n").into_bytes(), Then::Close)
}

#[tokio::test]
async fn the_key_of_a_provider_does_not_come_back_in_a_stream_however_it_is_cut() {
    let raw = Raw::start().await;
    let world = World::new(&with_key(&raw)).await;
    let event = |text: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let text =
        [&event("sk-pro, no sk-provide"), &event("to sk-provider!"), "data: [DONE]\n\n"].concat();
    let sizes = [1, 7, 11, 10_000];
    *raw.answers.lock().unwrap() = sizes.map(|it| chunked(&text, it)).into();
    for number in 0..sizes.len() {
        let reply = world.post(CHAT, &asks_raw(true), &[("x-raw", &number.to_string())]).await;
        assert_eq!(reply.body, text.replace("sk-provider", "[redacted]"));
        assert_eq!((reply.status, reply.header("x-said")), (200, "[redacted]"));
    }
    world.end().await;
}

#[tokio::test]
async fn where_a_redirect_leads_is_not_told_and_another_way_is_tried() {
    let raw = Raw::start().await;
    let more = "\n[[route]]\nmodel = \"m-else\"\nto = [{ provider = \"raw\" }, { provider = \"test\", model = \"m1\" }]";
    let settings = raw.settings("").replace("attempts = 1", "attempts = 2") + more;
    let world = World::new(&settings).await;
    let statuses = ["301 X", "302 X", "303 X", "307 X", "308 X"];
    let said = |it: &&str| answer(it, "location: http://inside.example/\r\n", "");
    *raw.answers.lock().unwrap() = statuses.iter().map(said).collect();
    for (number, status) in statuses.iter().enumerate() {
        for is_stream in [false, true] {
            let number = [("x-raw", &*number.to_string())];
            let reply = world.post(CHAT, &asks_raw(is_stream), &number).await;
            assert_eq!((reply.status, reply.header("location")), (502, ""), "{status}");
            assert_eq!(reply.json()["error"]["code"], "upstream_failed");
            let other = asks_raw(is_stream).replace("m-raw", "m-else");
            let reply = world.post(CHAT, &other, &number).await;
            assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"));
            open_again(&world);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_is_empty_or_cut_is_a_failure_is_charged_and_another_way_is_tried() {
    let raw = Raw::start().await;
    let more = "\n[[route]]\nmodel = \"m-else\"\nto = [{ provider = \"raw\" }, { provider = \"test\", model = \"m1\" }]";
    let settings = raw.settings("").replace("attempts = 1", "attempts = 2") + more;
    let world = World::new(&settings).await;
    let words = "Words that were made, and are to be paid for. ".repeat(9);
    let half = format!(r#"{{"choices":[{{"message":{{"content":"{words}"#);
    let head = format!("{OK}connection: close\r\n\r\n");
    let answers = [
        (format!("{OK}content-length: 0\r\n\r\n"), false, false),
        (format!("{EVENTS}connection: close\r\n\r\n"), true, false),
        (format!("{head}{half}"), false, true),
        (format!("{OK}content-length: 9999\r\n\r\n{half}"), false, true),
    ];
    let said = answers.iter().map(|it| (it.0.clone().into_bytes(), Then::Close));
    *raw.answers.lock().unwrap() = said.collect();
    for (number, (name, is_stream, has_words)) in answers.iter().enumerate() {
        let number = [("x-raw", &*number.to_string())];
        for (path, kind) in [(CHAT, "server_error"), ("/v1/messages", "api_error")] {
            let reply = world.post(path, &asks_raw(*is_stream), &number).await;
            assert_eq!(reply.status, 502, "{name}: {reply:?}");
            assert_eq!(reply.json()["error"]["type"], kind, "{name}");
            let rows = world.rows();
            assert_eq!(rows.len(), 2, "{name}: it is tried again");
            for row in rows {
                let flags = row["flags"].to_string();
                assert!(flags.contains("estimated") && flags.contains("cut"), "{name}: {row}");
                assert!(row["cost"].as_i64().unwrap() > 0, "{name}: {row}");
                let output = row["usage"]["output"].as_u64().unwrap_or_default();
                assert_eq!(output >= 50, *has_words, "{name}: {row}");
            }
            open_again(&world);
        }
        let other = asks_raw(*is_stream).replace("m-raw", "m-else");
        let reply = world.post(CHAT, &other, &number).await;
        assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"), "{name}");
        world.settled().await;
        drop(world.rows());
        open_again(&world);
    }
    world.end().await;
}

#[tokio::test]
async fn a_web_page_is_no_answer_costs_nothing_and_another_way_is_tried() {
    let raw = Raw::start().await;
    let more = "\n[[route]]\nmodel = \"m-else\"\nto = [{ provider = \"raw\" }, { provider = \"test\", model = \"m1\" }]";
    let settings = raw.settings("").replace("attempts = 1", "attempts = 2") + more;
    let world = World::new(&settings).await;
    let page = "\n<!doctype html><html><body>Please sign in to this network.</body></html>";
    *raw.answers.lock().unwrap() = vec![answer("200 OK", "", page)];
    let number = [("x-raw", "0")];
    for path in [CHAT, "/v1/messages", "/v1/embeddings", "/v1/moderations"] {
        let reply = world.post(path, &asks_raw(false), &number).await;
        assert_eq!(reply.status, 502, "{path}: {reply:?}");
        assert!(reply.body.contains("its `url` in the gateway's file may be wrong"), "{reply:?}");
        assert!(!reply.body.contains("sign in"), "{reply:?}");
        open_again(&world);
    }
    assert!(world.rows().iter().all(|it| it["cost"] == 0 && it["status"] == 200));
    let other = asks_raw(true).replace("m-raw", "m-else");
    let reply = world.post(CHAT, &other, &number).await;
    assert_eq!((reply.status, reply.header("x-trunkline-attempts")), (200, "2"), "{reply:?}");
    world.end().await;
}

#[tokio::test]
async fn a_part_of_its_use_that_a_provider_does_not_say_is_counted() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    let text = "so it goes on and on and on";
    let said = |usage: &str| {
        answer(
            "200 OK",
            "",
            &format!(r#"{{"choices":[{{"message":{{"content":"{text}"}}}}],"usage":{usage}}}"#),
        )
    };
    let usages =
        ["{}", r#"{"total_tokens":4000}"#, r#"{"prompt_tokens":11}"#, r#"{"completion_tokens":4}"#];
    let mut answers: Vec<_> = usages.iter().map(|it| said(it)).collect();
    let running = r#"{"choices":[{"delta":{"content":""}}],"usage":{"prompt_tokens":11,"completion_tokens":0}}"#;
    let word = format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
    let stream = format!("{EVENTS}connection: close\r\n\r\ndata: {running}\n\ndata: {word}\n\n");
    answers.push((stream.into_bytes(), Then::Close));
    *raw.answers.lock().unwrap() = answers;
    for number in 0..=usages.len() {
        let is_stream = number == usages.len();
        let number = number.to_string();
        let reply = world.post(CHAT, &asks_raw(is_stream), &[("x-raw", &number)]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        world.settled().await;
        let row = world.rows().remove(0);
        assert!(row["flags"].to_string().contains("estimated"), "{row}");
        let used = |class: &str| row["usage"][class].as_u64().unwrap_or_default();
        assert!(used("input") >= 4 && used("input") < 40, "{row}");
        assert!(used("output") >= 4 && used("output") < 40, "{row}");
        if number == "2" || is_stream {
            assert_eq!(used("input"), 11, "what is said counts: {row}");
        }
        assert!(number != "3" || used("output") == 4, "{row}");
        open_again(&world);
    }
    world.end().await;
}

#[tokio::test]
async fn the_price_of_a_name_in_full_counts_before_a_patterns() {
    let raw = Raw::start().await;
    let more = "\n[[route]]\nmodel = \"m-named\"\nto = [{ provider = \"raw\" }]";
    let world = World::new(&(raw.settings("") + more)).await;
    let usage = r#""usage":{"prompt_tokens":10,"completion_tokens":5}"#;
    let calls = [
        ("m-named", "m-named", 3),
        ("m-named", "m-named-2024-08-06", 3),
        ("m-raw", "m-raw-2024-08-06", 1),
        ("m-raw", "m-named", 3),
    ];
    let said = |(_, model, _): &(&str, &str, i64)| {
        answer("200 OK", "", &format!(r#"{{"model":"{model}","choices":[],{usage}}}"#))
    };
    *raw.answers.lock().unwrap() = calls.iter().map(said).collect();
    for (number, (asked, answered, price)) in calls.into_iter().enumerate() {
        let body = asks_raw(false).replace("m-raw", asked);
        world.post(CHAT, &body, &[("x-raw", &number.to_string())]).await;
        let cost = world.rows()[0]["cost"].as_i64();
        assert_eq!(cost, Some((10 + 5 * 10) * price * 1000), "{asked} {answered}");
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_no_json_passes_as_it_is() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    let odd = ["data: {\"choices\":", "{\"choices\":[]} }", "{\"own\":[1e400,\"\\ud800\"]}", "404"];
    *raw.answers.lock().unwrap() = odd.map(|it| answer("200 OK", "", it)).into();
    for (number, body) in odd.into_iter().enumerate() {
        let reply = world.post(CHAT, &asks_raw(false), &[("x-raw", &number.to_string())]).await;
        assert_eq!((reply.status, &*reply.body), (200, body));
    }
    world.end().await;
}

#[tokio::test]
async fn an_answer_whose_use_was_counted_here_says_so() {
    let raw = Raw::start().await;
    let world = World::new(&raw.settings("")).await;
    let silent = r#"{"choices":[{"message":{"content":"so"}}]}"#;
    let long = |times: usize| silent.replace("so", &"so it goes on ".repeat(times));
    *raw.answers.lock().unwrap() =
        [silent, &long(15), &long(400)].map(|it| answer("200 OK", "", it)).into();
    let reply = world.post(CHAT, &asks_raw(false), &[("x-raw", "0")]).await;
    assert_eq!(reply.header("x-trunkline-flags"), "estimated");
    assert!((1..20).contains(&world.rows()[0]["usage"]["output"].as_u64().unwrap()));
    world.post(CHAT, &asks_raw(false), &[("x-raw", "1")]).await;
    let row = world.rows().remove(0);
    assert_eq!(row["usage"]["output"], 50, "a slip of the counter: {row}");
    assert_eq!(row["overrun"].as_i64(), Some(0), "{row}");
    world.post(CHAT, &asks_raw(false), &[("x-raw", "2")]).await;
    let row = world.rows().remove(0);
    assert!(row["usage"]["output"].as_u64().unwrap() > 1000, "it does not heed the limit: {row}");
    assert!(row["overrun"].as_i64().unwrap() > 0, "{row}");
    world.end().await;
}
