//! Writes the log of an attempt: first what the engine says while it makes things ready, then what the
//! containers print, masked. The second part is the same bytes however often it is read, so an adopted
//! attempt goes on at the offset where its log ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::blobs::{BlobError, LogWriter, OUTPUT_SECTION};
use crate::executor::{Executor, ExecutorError, LogItem, LogStream, Signal};
use crate::model::{AttemptName, Milliseconds, Timestamp};
use crate::secrets::Masker;
use crate::worker::Worker;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::patience::Patience;
use crate::worker::attempt::{Attempt, Report};

/// After the end of an attempt its log is waited for until it has been silent for so long. Docker hands
/// on a log more slowly than a program prints it, so a log that still grows is not cut.
const END_GRACE: Duration = Duration::from_secs(5);
/// Lines of progress that may wait to be written.
const PROGRESS_MAX: usize = 1024;
/// How often a broken stream of output is opened again.
const FOLLOW_TRIES: u32 = 5;

/// Pieces of output, and bytes of them, that are put together at most.
const GATHERED_MAX: usize = 1024;
const GATHERED_MAX_BYTES: usize = 256 << 10;
/// Pieces that were printed in such a span have the same time.
const SAME_TIME: Milliseconds = Milliseconds(250);

/// The log of one attempt.
pub(in crate::worker) struct AttemptLog {
    writer: LogWriter,
    masker: Masker,
    clock: Arc<dyn crate::model::Clock>,
    /// Where the output of the containers begins, once it has.
    output_at: Option<u64>,
    /// How much of the output was read.
    growth: Growth,
}

/// Tells those who wait for a log whether it still grows. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct Growth(Arc<AtomicU64>);

impl Growth {
    fn reached(&self, offset: u64) {
        self.0.store(offset, Ordering::Relaxed);
    }

    /// Waits for the end of a log; `None` when it has stopped growing without one.
    pub(in crate::worker) async fn end_of<T>(
        &self,
        mut log: impl Future<Output = T> + Unpin,
    ) -> Option<T> {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if let Ok(end) = tokio::time::timeout(END_GRACE, &mut log).await {
                return Some(end);
            }
            let now = self.0.load(Ordering::Relaxed);
            if now == seen {
                return None;
            }
            seen = now;
        }
    }
}

/// What came of reading the output.
#[derive(Debug, Default)]
pub(in crate::worker) struct Pumped {
    /// Exit code of each step that ended.
    pub(in crate::worker) steps: Vec<(u32, i32)>,
    /// Whether the log was larger than allowed.
    pub(in crate::worker) over_limit: bool,
}

/// A channel for lines of progress.
pub(in crate::worker) fn progress() -> (mpsc::Sender<String>, mpsc::Receiver<String>) {
    mpsc::channel(PROGRESS_MAX)
}

impl AttemptLog {
    pub(in crate::worker) async fn open<E: Executor>(
        worker: &Worker<E>,
        name: &AttemptName,
        masker: Masker,
    ) -> Result<Self, BlobError> {
        let writer = worker.parts.logs.writer(name).await?;
        let output_at = writer.section(OUTPUT_SECTION);
        let clock = worker.parts.clock.clone();
        Ok(Self { writer, masker, clock, output_at, growth: Growth::default() })
    }

    /// Whether it grows.
    pub(in crate::worker) fn growth(&self) -> Growth {
        self.growth.clone()
    }

    /// Writes lines as they come, until the sender is gone.
    pub(in crate::worker) async fn say_all(
        &mut self,
        mut lines: mpsc::Receiver<String>,
    ) -> Result<(), Failure> {
        while let Some(line) = lines.recv().await {
            self.say(&line).await?;
        }
        Ok(())
    }

    /// Writes a line of the engine's own.
    pub(in crate::worker) async fn say(&mut self, line: &str) -> Result<(), Failure> {
        let line = format!("{}\n", self.masker.mask(line.trim_end()));
        let at = self.clock.now();
        self.writer.write_at(self.writer.len(), line.as_bytes(), at).await?;
        Ok(())
    }

    /// As [`Self::say`], unless the containers' own part has begun.
    pub(in crate::worker) async fn say_before_output(&mut self, line: &str) -> Result<(), Failure> {
        if self.has_output() { Ok(()) } else { self.say(line).await }
    }

    /// Writes warnings behind the output, at the place where it ends: an attempt that is adopted
    /// writes them there again.
    pub(in crate::worker) async fn warn_after_output(
        &mut self,
        warnings: &[String],
    ) -> Result<(), Failure> {
        let lines: String = warnings.iter().map(|it| format!("warning: {it}\n")).collect();
        let (masked, at) = (self.masker.mask(&lines), self.clock.now());
        let end = self.growth.0.load(Ordering::Relaxed);
        Ok(self.writer.write_at(end, masked.as_bytes(), at).await?)
    }

    /// Whether the containers' own part has begun.
    pub(in crate::worker) fn has_output(&self) -> bool {
        self.output_at.is_some()
    }

    /// No more will come.
    pub(in crate::worker) async fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.writer.finish().await?)
    }

    /// Where the output begins; from now on only output is written.
    async fn begin_output(&mut self, at: Timestamp) -> Result<u64, BlobError> {
        if let Some(offset) = self.output_at {
            return Ok(offset);
        }
        let offset = self.writer.len();
        self.writer.start_section(offset, OUTPUT_SECTION, at).await?;
        self.output_at = Some(offset);
        Ok(offset)
    }
}

impl<E: Executor> Attempt<E> {
    /// Reads all output into the log; opens a broken stream again from its beginning.
    pub(in crate::worker) async fn pump(
        &self,
        log: &mut AttemptLog,
        pumped: &mut Pumped,
    ) -> Result<(), Failure> {
        let (mut tries, mut patience) = (0, Patience::new());
        loop {
            let start = log.growth.0.load(Ordering::Relaxed);
            let read = match self.worker.parts.executor.follow(&self.name).await {
                Ok(stream) => self.pump_once(log, stream, pumped).await,
                Err(error) => Err(Broken::Stream(error)),
            };
            match read {
                Ok(()) => return Ok(()),
                Err(Broken::Log(error)) => return Err(error.into()),
                Err(Broken::Stream(error @ ExecutorError::Unavailable { .. })) => {
                    if log.growth.0.load(Ordering::Relaxed) > start {
                        patience.renew();
                    }
                    patience.bear(error).await?;
                }
                Err(Broken::Stream(error)) if tries == FOLLOW_TRIES => return Err(error.into()),
                Err(Broken::Stream(error)) => {
                    tries += 1;
                    tracing::debug!(attempt = %self.name, %error, tries, "the output broke off");
                    tokio::time::sleep(Duration::from_millis(100 << tries)).await;
                }
            }
        }
    }

    async fn pump_once(
        &self,
        log: &mut AttemptLog,
        stream: LogStream,
        pumped: &mut Pumped,
    ) -> Result<(), Broken> {
        let mut last = self.worker.parts.clock.now();
        let mut offset = log.begin_output(last).await?;
        let mut masker = log.masker.clone();
        pumped.steps.clear();
        let mut stream = Gathered::new(stream);
        while let Some(item) = stream.next().await {
            match item.map_err(Broken::Stream)? {
                LogItem::Output { at, bytes } => {
                    last = at;
                    let safe = masker.feed(&bytes);
                    log.writer.write_at(offset, &safe, at).await?;
                    offset += safe.len() as u64;
                    log.growth.reached(offset);
                }
                LogItem::StepStarted { at, step } => {
                    last = at;
                    offset = flush(log, &mut masker, offset, at).await?;
                    log.writer.start_section(offset, step, at).await?;
                    self.report(Report::StepStarted { attempt: self.name.clone(), step }).await;
                }
                LogItem::StepFinished { at, step, exit_code } => {
                    last = at;
                    offset = flush(log, &mut masker, offset, at).await?;
                    pumped.steps.push((step, exit_code));
                    let attempt = self.name.clone();
                    self.report(Report::StepFinished { attempt, step, exit_code }).await;
                }
            }
            if offset > self.worker.settings.log_limit_bytes && !pumped.over_limit {
                pumped.over_limit = true;
                let killed = self.worker.parts.executor.signal(&self.name, Signal::Kill).await;
                killed.map_err(Broken::Stream)?;
            }
            if pumped.over_limit {
                return Ok(());
            }
        }
        flush(log, &mut masker, offset, last).await?;
        Ok(())
    }

    async fn report(&self, report: Report) {
        // The driver is gone only when this task is about to be, too.
        let _nobody_listens = self.reports.send(report).await;
    }
}

/// The same items, with short pieces of output that have come already put together: many lines at
/// once are written as one.
struct Gathered {
    stream: futures_util::stream::ReadyChunks<LogStream>,
    ready: VecDeque<Result<LogItem, ExecutorError>>,
}

impl Gathered {
    fn new(stream: LogStream) -> Self {
        Self { stream: stream.ready_chunks(GATHERED_MAX), ready: VecDeque::new() }
    }

    async fn next(&mut self) -> Option<Result<LogItem, ExecutorError>> {
        if self.ready.is_empty() {
            self.ready.extend(self.stream.next().await?);
        }
        let mut item = self.ready.pop_front()?;
        if let Ok(LogItem::Output { at, bytes }) = &mut item {
            let mut all = BytesMut::new();
            while let Some(Ok(LogItem::Output { at: later, bytes: more })) = self.ready.front() {
                if all.len() + more.len() > GATHERED_MAX_BYTES || later.since(*at) > SAME_TIME {
                    break;
                }
                if all.is_empty() {
                    all.extend_from_slice(bytes);
                }
                all.extend_from_slice(more);
                self.ready.pop_front();
            }
            if !all.is_empty() {
                *bytes = all.freeze();
            }
        }
        Some(item)
    }
}

/// What broke while output was read.
enum Broken {
    Stream(ExecutorError),
    Log(BlobError),
}

impl From<BlobError> for Broken {
    fn from(error: BlobError) -> Self {
        Self::Log(error)
    }
}

async fn flush(
    log: &mut AttemptLog,
    masker: &mut Masker,
    offset: u64,
    at: Timestamp,
) -> Result<u64, BlobError> {
    let rest = masker.finish();
    log.writer.write_at(offset, &rest, at).await?;
    log.growth.reached(offset + rest.len() as u64);
    Ok(offset + rest.len() as u64)
}
