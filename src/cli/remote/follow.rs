//! A stream of a server that is followed to its end: over connections that break and servers that restart,
//! without a gap and without a repetition.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;

use super::call::Call;
use super::client::Client;
use super::error::RemoteError;
use super::sse::{SseEvent, SseParser};

/// For how long a server may be away before a stream is given up.
const PATIENCE: Duration = Duration::from_mins(5);
/// The pauses between two tries.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a server may be away before a person is told.
const SILENCE: Duration = Duration::from_secs(3);

/// A stream that is followed.
#[derive(Debug)]
pub struct Follow {
    client: Client,
    call: Call,
    last_id: String,
    open: Option<(Response, SseParser)>,
    ready: VecDeque<SseEvent>,
    away: Option<Away>,
}

/// Since when a server does not answer.
#[derive(Debug)]
struct Away {
    since: Instant,
    pause: Duration,
    is_told: bool,
}

impl Follow {
    /// A stream from its beginning.
    #[must_use]
    pub fn new(client: Client, call: Call) -> Self {
        let last_id = String::new();
        Self { client, call, last_id, open: None, ready: VecDeque::new(), away: None }
    }

    /// The next piece, read as JSON; `None` at the end of the stream.
    pub async fn next_as<T: DeserializeOwned>(&mut self) -> Result<Option<T>, RemoteError> {
        let Some(data) = self.next().await? else { return Ok(None) };
        serde_json::from_str(&data).map(Some).map_err(|error| RemoteError::Foreign {
            server: self.client.address().clone(),
            reason: format!("its stream is not what this version expects ({error})"),
        })
    }

    /// The data of the next piece; `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<String>, RemoteError> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                match event.name.as_str() {
                    "end" => return Ok(None),
                    // The server could not go on; what comes later may go well.
                    "problem" => self.bear(self.client.problem(&event.data)).await?,
                    _ if event.data.is_empty() => (),
                    _ => {
                        self.last_id = event.id;
                        return Ok(Some(event.data));
                    }
                }
            }
            if let Err(error) = self.read_on().await {
                self.bear(error).await?;
            }
        }
    }

    /// Reads some more; connects where there is no connection.
    async fn read_on(&mut self) -> Result<(), RemoteError> {
        if self.open.is_none() {
            let response = self.client.open(&self.call, &self.headers()).await?;
            self.open = Some((response, SseParser::default()));
        }
        let Some((response, parser)) = &mut self.open else { return Ok(()) };
        let server = self.client.address();
        let chunk = response.chunk().await;
        let Some(bytes) = chunk.map_err(|error| RemoteError::of(server, &error))? else {
            let reason = "the stream broke off".to_owned();
            return Err(RemoteError::Unreachable { server: server.clone(), reason });
        };
        self.away = None;
        let events = parser.push(&bytes).map_err(|_too_long| RemoteError::Foreign {
            server: server.clone(),
            reason: "an event of its stream has no end".to_owned(),
        })?;
        self.ready.extend(events);
        Ok(())
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let seen = Some(&self.last_id).filter(|it| !it.is_empty());
        if let Some(Ok(id)) = seen.map(|it| HeaderValue::from_str(it)) {
            headers.insert("last-event-id", id);
        }
        headers
    }

    /// Waits until it is worth another try, unless there is no use or patience ends.
    async fn bear(&mut self, error: RemoteError) -> Result<(), RemoteError> {
        self.open = None;
        let since = Instant::now();
        let away = self.away.get_or_insert(Away { since, pause: PAUSE, is_told: false });
        if !error.is_passing() || away.since.elapsed() > PATIENCE {
            return Err(error);
        }
        if !away.is_told && away.since.elapsed() > SILENCE {
            away.is_told = true;
            tracing::warn!("{error}; trying again");
        }
        let pause = away.pause;
        away.pause = (pause * 2).min(PAUSE_MAX);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
