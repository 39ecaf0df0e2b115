//! How a call to the fake is to fail. Pure.

use std::time::Duration;

use hyper::header::HeaderMap;

/// What the header `x-fake` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) status: u16,
    /// The model whose calls fail; all, when it is empty.
    pub(crate) model: String,
    /// Under which name failures are counted.
    pub(crate) name: String,
    /// How often a call of that name fails; always, when it is not there.
    pub(crate) times: Option<u64>,
    pub(crate) delay: Duration,
    pub(crate) retry_after: Option<u64>,
    pub(crate) chunks: u64,
    pub(crate) chunk: Duration,
    pub(crate) cut: Option<u64>,
    pub(crate) malformed: Option<u64>,
    pub(crate) has_usage: bool,
    pub(crate) has_end: bool,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            status: 200,
            model: String::new(),
            name: String::new(),
            times: None,
            delay: Duration::ZERO,
            retry_after: None,
            chunks: 5,
            chunk: Duration::ZERO,
            cut: None,
            malformed: None,
            has_usage: true,
            has_end: true,
        }
    }
}

impl Orders {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let mut orders = Self::default();
        let text = headers.get("x-fake").and_then(|it| it.to_str().ok()).unwrap_or_default();
        for order in text.split(',') {
            let (name, value) = order.trim().split_once('=').unwrap_or((order.trim(), ""));
            orders.take(name, value);
        }
        orders
    }

    fn take(&mut self, name: &str, value: &str) {
        let number = value.parse::<u64>().unwrap_or_default();
        match name {
            "status" => self.status = value.parse().unwrap_or(200),
            "model" => value.clone_into(&mut self.model),
            "name" => value.clone_into(&mut self.name),
            "times" => self.times = Some(number),
            "delay_ms" => self.delay = Duration::from_millis(number),
            "retry_after" => self.retry_after = Some(number),
            "chunks" => self.chunks = number,
            "chunk_ms" => self.chunk = Duration::from_millis(number),
            "cut" => self.cut = Some(number),
            "malformed" => self.malformed = Some(number),
            "no_usage" => self.has_usage = false,
            "no_end" => self.has_end = false,
            _ => {}
        }
    }
}
