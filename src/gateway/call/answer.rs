//! The body of an answer: whole, replayed, or a provider's stream that is passed on piece by piece as it
//! comes. Whatever becomes of a stream, its use is settled: at its end, when it is cut, when the client
//! leaves, when its time is over.

pub mod meter;
pub mod tap;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::cache::keeper::StreamKeeper;
use crate::gateway::cassette::recorder::Recorder;
use crate::gateway::guard::stream::Filter;
use crate::gateway::ledger::trail::heard::Listener;
use crate::gateway::server::provider::KeyFilter;
use crate::gateway::settings::ClientGone;
use crate::gateway::settlement::Settlement;
use crate::provider::refusal::Refusal;
use meter::Meter;
use tap::Tap;

/// The body of an answer.
#[derive(Debug)]
pub enum Answer {
    /// All at once.
    Full(Option<Bytes>),
    /// A provider's stream.
    Live(Box<Live>),
}

impl Answer {
    /// A whole body.
    #[must_use]
    pub fn full(body: impl Into<Bytes>) -> Self {
        Self::Full(Some(body.into()))
    }

    /// All of it, if it is there.
    #[must_use]
    pub fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Full(body) => body.as_ref(),
            Self::Live(_) => None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Full(body) => Poll::Ready(body.take().map(|it| Ok(Frame::data(it)))),
            Self::Live(live) => live.poll_piece(context).map(|it| it.map(|it| Ok(Frame::data(it)))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => SizeHint::with_exact(body.as_ref().map_or(0, |it| it.len() as u64)),
            Self::Live(_) => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }
}

/// A provider's stream on its way to the client.
#[derive(Debug)]
pub struct Live {
    upstream: Option<Source>,
    /// Takes the provider's key out, before anything else sees a piece.
    key: Option<Box<KeyFilter>>,
    ready: VecDeque<Bytes>,
    meter: Meter,
    settlement: Option<Box<Settlement>>,
    recorder: Option<Recorder>,
    keeper: Option<StreamKeeper>,
    /// Apart, as few streams have one.
    filter: Option<Box<Filter>>,
    listener: Option<Listener>,
    deadline: Pin<Box<Sleep>>,
    client_gone: ClientGone,
    tasks: TaskTracker,
    cut: CancellationToken,
    tap: Option<Tap>,
}

/// Where the pieces of a stream come from.
#[derive(Debug)]
pub enum Source {
    /// A provider.
    Wire(Incoming),
    /// A cassette: what is left of it, with the milliseconds after the start at which each piece came.
    Tape {
        /// The pieces.
        pieces: VecDeque<(u64, Bytes)>,
        /// When the replay began, if it is to take as long as the recording.
        started: Option<Instant>,
        /// Until the next piece.
        pause: Pin<Box<Sleep>>,
    },
}

impl Source {
    /// A replay, at once or as long as the recording.
    #[must_use]
    pub fn tape(pieces: VecDeque<(u64, Bytes)>, is_timed: bool) -> Self {
        let pause = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self::Tape { pieces, started: is_timed.then(Instant::now), pause }
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, hyper::Error>>> {
        match self {
            Self::Wire(incoming) => loop {
                match ready!(Pin::new(&mut *incoming).poll_frame(context)) {
                    Some(Ok(frame)) => {
                        if let Ok(piece) = frame.into_data() {
                            return Poll::Ready(Some(Ok(piece)));
                        }
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(None),
                }
            },
            Self::Tape { pieces, started, pause } => {
                let Some((after, _)) = pieces.front() else { return Poll::Ready(None) };
                if let Some(started) = started {
                    pause.as_mut().reset((*started + Duration::from_millis(*after)).into());
                    ready!(pause.as_mut().poll(context));
                }
                Poll::Ready(pieces.pop_front().map(|it| Ok(it.1)))
            }
        }
    }
}

/// What a stream is made of.
#[derive(Debug)]
pub struct Parts {
    /// What is still to come.
    pub upstream: Source,
    /// Takes the provider's key out of it.
    pub key: Option<KeyFilter>,
    /// The piece that has come.
    pub first: Option<Bytes>,
    /// Reads it.
    pub meter: Meter,
    /// What it is charged to.
    pub settlement: Box<Settlement>,
    /// Writes it down.
    pub recorder: Option<Recorder>,
    /// Keeps it in the cache.
    pub keeper: Option<StreamKeeper>,
    /// Looks at what it says.
    pub filter: Option<Filter>,
    /// When its time is over.
    pub deadline: Sleep,
    /// What happens when the client leaves.
    pub client_gone: ClientGone,
    /// Where it is read to its end then.
    pub tasks: TaskTracker,
    /// Whether the process can wait for it no longer.
    pub cut: CancellationToken,
}

impl Live {
    /// A stream of which the first piece has come.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let mut live = Self {
            listener: Listener::of(parts.settlement.trail()),
            upstream: Some(parts.upstream),
            key: parts.key.map(Box::new),
            ready: VecDeque::new(),
            meter: parts.meter,
            settlement: Some(parts.settlement),
            recorder: parts.recorder,
            keeper: parts.keeper,
            filter: parts.filter.map(Box::new),
            deadline: Box::pin(parts.deadline),
            client_gone: parts.client_gone,
            tasks: parts.tasks,
            cut: parts.cut,
            tap: None,
        };
        match parts.first {
            Some(first) => live.take(&first),
            None => live.end(None),
        }
        live
    }

    /// Whether it has come to its proper end, and no rule about content has stopped it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.meter.outcome().is_whole() && self.stopped().is_none()
    }

    /// Has what the client gets noted.
    pub fn tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    fn untap(&mut self) {
        if let Some(tap) = self.tap.take() {
            tap.finish(self.is_whole());
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                if let Some(tap) = &mut self.tap {
                    tap.piece(&piece);
                }
                return Poll::Ready(Some(piece));
            }
            let Some(upstream) = &mut self.upstream else {
                self.untap();
                return Poll::Ready(None);
            };
            let piece = match upstream.poll_piece(context) {
                Poll::Ready(piece) => piece,
                Poll::Pending if self.cut.is_cancelled() => {
                    self.end(Some("the gateway stops and can wait no longer".to_owned()));
                    continue;
                }
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(context));
                    self.end(Some("the call took longer than it may".to_owned()));
                    continue;
                }
            };
            match piece {
                Some(Ok(piece)) => self.take(&piece),
                Some(Err(error)) => {
                    self.end(Some(format!("the stream of the provider broke: {error}")));
                }
                None => self.end(None),
            }
        }
    }

    /// Takes a piece in, and has what the client shall see of it ready.
    fn take(&mut self, piece: &Bytes) {
        match &mut self.key {
            Some(key) => {
                let piece = key.push(piece);
                self.take_clean(&piece);
            }
            None => self.take_clean(piece),
        }
    }

    fn take_clean(&mut self, piece: &Bytes) {
        if let Some(recorder) = &mut self.recorder {
            recorder.piece(piece);
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.piece(piece);
        }
        let mut piece = self.meter.push(piece);
        if let Some(filter) = &mut self.filter {
            piece = filter.push(&piece);
        }
        // Settled before the client sees the end, so that its next call finds the budget as it is.
        if self.meter.has_ended() {
            self.settle(&[]);
            self.keep_recording();
        }
        if !piece.is_empty() {
            if let Some(listener) = &mut self.listener {
                listener.push(&piece);
            }
            self.ready.push_back(piece);
        }
        if let Some(event) = self.stopped() {
            self.upstream = None;
            self.ready.push_back(event);
            self.settle(&[]);
        }
    }

    /// The last event of a stream that a rule about content has stopped.
    fn stopped(&self) -> Option<Bytes> {
        let rule = self.filter.as_ref()?.stopped()?.rule.clone();
        Some(Bytes::from(Refusal::Guardrail { rule }.event(self.meter.operation().dialect())))
    }

    /// The stream is over: as it should be, or with an error of its own as the last event.
    fn end(&mut self, error: Option<String>) {
        self.upstream = None;
        if let Some(held) = self.key.take().and_then(|it| it.finish()) {
            self.take_clean(&held);
            if self.stopped().is_some() {
                return;
            }
        }
        let mut rest = self.meter.finish();
        if let Some(filter) = &mut self.filter {
            let last = filter.push(&rest);
            rest = Bytes::from([last, filter.finish()].concat());
        }
        if !rest.is_empty() {
            if let Some(listener) = &mut self.listener {
                listener.push(&rest);
            }
            self.ready.push_back(rest);
        }
        if let Some(event) = self.stopped() {
            self.ready.push_back(event);
            return self.settle(&[]);
        }
        let is_whole = self.meter.outcome().is_whole();
        let has_told = self.meter.outcome().has_failed;
        if !is_whole && !has_told {
            let what = error.unwrap_or_else(|| "the stream of the provider ended early".to_owned());
            let event = Refusal::Upstream(what).event(self.meter.operation().dialect());
            let before = if self.meter.is_torn() { "\n\n" } else { "" };
            self.ready.push_back(Bytes::from(format!("{before}{event}")));
        }
        if is_whole {
            self.keep_recording();
        }
        self.settle(if is_whole { &[] } else { &["cut"] });
    }

    fn settle(&mut self, flags: &[&'static str]) {
        if let Some(mut settlement) = self.settlement.take() {
            for flag in self.filter.iter().flat_map(|it| it.flags()) {
                settlement.flag(flag);
            }
            if let Some(filter) = &mut self.filter {
                settlement.trail().found(filter.take_findings());
            }
            let heard = self.meter.take_heard();
            settlement.settle_stream(self.meter.outcome(), heard, flags);
        }
    }

    /// Clients often leave once they have seen the last event: what came until then is all.
    fn keep_recording(&mut self) {
        if let Some(recorder) = self.recorder.take() {
            recorder.finish();
        }
        // An end alone is no answer.
        let is_whole = self.meter.outcome().is_whole() && self.meter.has_content();
        let is_good = is_whole && self.stopped().is_none();
        if let Some(keeper) = self.keeper.take().filter(|_| is_good) {
            keeper.finish();
        }
    }

    async fn drain(mut self) {
        let cut = self.cut.clone();
        let piece = std::future::poll_fn(|context| self.poll_piece(context));
        let mut piece = Box::pin(piece);
        loop {
            let next = tokio::select! {
                next = piece.as_mut() => next,
                // It sees that, too, once it is asked for more.
                () = cut.cancelled() => piece.as_mut().await,
            };
            if next.is_none() {
                break;
            }
        }
    }
}

/// The client has left, or the answer is done.
impl Drop for Live {
    fn drop(&mut self) {
        let tap = self.tap.take().map(|it| (it, self.is_whole()));
        self.settle_rest();
        if let Some((tap, is_whole)) = tap {
            tap.finish(is_whole);
        }
    }
}

impl Live {
    fn settle_rest(&mut self) {
        let Some(mut settlement) = self.settlement.take() else { return };
        settlement.flag("client_gone");
        let Some(upstream) = self.upstream.take().filter(|_| self.client_gone == ClientGone::Drain)
        else {
            drop(self.meter.finish());
            let heard = self.meter.take_heard();
            settlement.settle_stream(self.meter.outcome(), heard, &[]);
            return;
        };
        let rest = Self {
            upstream: Some(upstream),
            key: self.key.take(),
            ready: VecDeque::new(),
            meter: self.meter.take(),
            settlement: Some(settlement),
            recorder: self.recorder.take(),
            keeper: self.keeper.take(),
            filter: self.filter.take(),
            listener: self.listener.take(),
            deadline: std::mem::replace(
                &mut self.deadline,
                Box::pin(tokio::time::sleep(Duration::ZERO)),
            ),
            // Whoever drops this one, too, does not start a third.
            client_gone: ClientGone::Stop,
            tasks: self.tasks.clone(),
            cut: self.cut.clone(),
            tap: None,
        };
        self.tasks.spawn(rest.drain());
    }
}
