//! A provider that sends whatever bytes a test wants, and then closes, waits or goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What happens after the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Close,
    Wait,
    /// Sends them again and again.
    Repeat,
}

/// The answers, by the number in the header `x-raw` of a call.
pub(super) type Answers = Arc<Mutex<Vec<(Vec<u8>, Then)>>>;
type Asked = Arc<Mutex<Vec<String>>>;

pub(super) struct Raw {
    pub(super) address: String,
    pub(super) answers: Answers,
    /// The first line of each request.
    pub(super) asked: Asked,
    /// The body of each.
    pub(super) sent: Asked,
    _tasks: JoinSet<()>,
}

impl Raw {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (answers, asked, sent) = (Answers::default(), Asked::default(), Asked::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, answers.clone(), (asked.clone(), sent.clone())));
        Self { address, answers, asked, sent, _tasks: tasks }
    }

    /// Settings for a gateway: the model `raw` in both formats, and nothing tried twice.
    pub(super) fn settings(&self, limits: &str) -> String {
        let provider = |name: &str, dialect: &str| {
            let url = &self.address;
            format!(
                "[[provider]]\nname = \"{name}\"\ndialect = \"{dialect}\"\nurl = \"{url}\"\nprices = \"test\"\n"
            )
        };
        format!(
            "ledger = \"l\"\nlimits = {{ attempts = 1, {limits} }}\n{}{}\n[[route]]\nmodel = \"m-raw\"\n\
             to = [{{ provider = \"raw\" }}, {{ provider = \"raw-claude\" }}]\n",
            provider("raw", "openai"),
            provider("raw-claude", "anthropic")
        )
    }
}

async fn accept(listener: TcpListener, answers: Answers, seen: (Asked, Asked)) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (answers, seen) = (answers.clone(), seen.clone());
        connections.spawn(async move {
            // A peer that has gone away is what these tests are about.
            answer(stream, &answers, &seen).await.unwrap_or_default();
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    answers: &Answers,
    (asked, sent): &(Asked, Asked),
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let number = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let after = |name: &str| {
            let line = head.lines().find_map(|it| it.strip_prefix(name));
            line.and_then(|it| it.trim().parse::<usize>().ok()).unwrap_or_default()
        };
        if body.len() >= after("content-length:") {
            break after("x-raw:");
        }
    };
    let text = String::from_utf8_lossy(&request);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    asked.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
    sent.lock().unwrap().push(body.to_owned());
    let (bytes, then) = answers.lock().unwrap()[number].clone();
    stream.write_all(&bytes).await?;
    match then {
        Then::Close => {}
        Then::Wait => tokio::time::sleep(Duration::from_mins(1)).await,
        Then::Repeat => loop {
            stream.write_all(&bytes).await?;
        },
    }
    stream.shutdown().await
}
