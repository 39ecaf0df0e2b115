//! A model that streams: each piece says when it was sent. With `hold` in its address, the stream stays open after the
//! first piece.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::http::find;

/// Between two pieces.
const EVERY: Duration = Duration::from_millis(5);
const TAKEN: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Nanoseconds since the epoch: the same clock in every process of the machine.
pub(crate) fn now() -> u128 {
    #[expect(clippy::disallowed_methods, reason = "benchmarks measure time")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// What it does with what it is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    /// Answers with a stream.
    Stream,
    /// Takes it, as a collector of traces does.
    Take,
}

/// Serves until the process ends.
pub(crate) fn serve(address: &str, does: Does) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            #[expect(clippy::disallowed_methods, reason = "ends with the process")]
            tokio::spawn(async move { connection(stream, does).await.unwrap_or_default() });
        }
    });
}

/// Calls on one connection, one after the other.
async fn connection(mut stream: TcpStream, does: Does) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut text = Vec::new();
    loop {
        text.clear();
        while !is_whole(&text) {
            if stream.read_buf(&mut text).await? == 0 {
                return Ok(());
            }
        }
        match does {
            Does::Stream => answer(&mut stream, &text).await?,
            Does::Take => stream.write_all(TAKEN).await?,
        }
    }
}

/// A stream, as its request has asked for it.
async fn answer(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<()> {
    let pieces = header(text, "x-pieces").unwrap_or(1);
    stream.write_all(HEAD).await?;
    for _ in 0..pieces {
        piece(stream, &said()).await?;
        tokio::time::sleep(EVERY).await;
    }
    if let Some(seconds) = header(text, "x-hold") {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    let usage = r#"{"id":"b","object":"chat.completion.chunk","created":1,"model":"bench","choices":[],"usage":{"prompt_tokens":31,"completion_tokens":9,"total_tokens":40}}"#;
    piece(stream, &format!("data: {usage}\n\ndata: [DONE]\n\n")).await?;
    stream.write_all(b"0\r\n\r\n").await
}

fn said() -> String {
    format!(
        "data: {{\"id\":\"b\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"@{}@\"}},\"finish_reason\":null}}]}}\n\n",
        now()
    )
}

async fn piece(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    stream.write_all(chunk.as_bytes()).await
}

fn is_whole(text: &[u8]) -> bool {
    let Some(head) = find(text, b"\r\n\r\n") else { return false };
    let length = header(text, "content-length").unwrap_or(0);
    text.len() as u64 >= head as u64 + 4 + length
}

fn header(text: &[u8], name: &str) -> Option<u64> {
    let head = &text[..find(text, b"\r\n\r\n")?];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.lines().find_map(|it| it.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().parse().ok()
}
