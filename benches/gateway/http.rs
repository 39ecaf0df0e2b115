//! The smallest client: one connection, one request at a time, no more work than the bytes need.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A connection that calls are made on.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

/// A call of a chat completion.
pub(crate) fn request(key: &str, is_stream: bool) -> Vec<u8> {
    let body = format!(
        r#"{{"model":"bench","stream":{is_stream},"max_tokens":64,"messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"Say something about the weather of tomorrow, in two sentences."}}]}}"#
    );
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Connection {
    pub(crate) fn open(address: &str, request: Vec<u8>) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { stream, request, buffer: vec![0; 64 << 10] }
    }

    /// Makes a call; whether it was answered with 200.
    pub(crate) fn call(&mut self) -> bool {
        self.stream.write_all(&self.request).unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the connection was closed");
            filled += read;
            let answer = &self.buffer[..filled];
            if let Some(head) = find(answer, b"\r\n\r\n")
                && is_whole(&answer[..head + 4], &answer[head + 4..])
            {
                return answer.starts_with(b"HTTP/1.1 200");
            }
        }
    }
}

fn is_whole(head: &[u8], body: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|it| it.strip_prefix("content-length:"));
    match length {
        Some(length) => body.len() >= length.trim().parse::<usize>().unwrap(),
        None => body.ends_with(b"0\r\n\r\n"),
    }
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|it| it == part)
}
