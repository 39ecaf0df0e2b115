//! The log of an attempt's containers, one after the other, from the first byte on.

use std::collections::VecDeque;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptions;
use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};

use crate::executor::control::AttemptFolder;
use crate::executor::docker::container::Condition;
use crate::executor::docker::run::Place;
use crate::executor::docker::{DockerExecutor, fault};
use crate::executor::layout::{Layout, Program};
use crate::executor::markers::{MarkerParser, Reader, push_output, stream_of};
use crate::executor::{ExecutorError, LogItem, LogStream};
use crate::model::{AttemptName, Timestamp};

/// Silence after which the container is asked whether it still runs.
const SILENCE: Duration = Duration::from_secs(2);
/// A log that broke off is read again at most this often without a new byte.
const BARREN_TRIES: u32 = 10;
/// The state of a container follows the end of its log within these.
const END_TRIES: u32 = 20;
const END_PAUSE: Duration = Duration::from_millis(50);
/// Lines that have arrived are taken together, up to this many.
const BATCH: usize = 256;

/// A line longer than this comes in pieces of this size. Docker 20.10's `local` log loses the line's end
/// after the last one (`daemon/logger/local`: only whole lines get it); it is put back when something
/// follows, for then it was there.
const PIECE_BYTES: usize = 16 * 1024;

type Frames = BoxStream<'static, Vec<Result<LogOutput, Error>>>;

impl DockerExecutor {
    pub(super) fn follow_attempt(&self, name: &AttemptName) -> Result<LogStream, ExecutorError> {
        let (folder, layout) = self.prepared(name)?;
        if layout.segment_count() == 0 {
            return Ok(Box::pin(stream::empty()));
        }
        let parser = match &layout.program {
            Program::Steps(_) => Some(MarkerParser::new(&layout.nonce)),
            Program::Command(_) | Program::Nothing => None,
        };
        let is_verified = parser.is_some();
        let follower = Follower {
            executor: self.clone(),
            folder,
            layout,
            parser,
            segment: 0,
            frames: None,
            read: 0,
            to_skip: 0,
            barren: 0,
            owes_line_end: false,
            at: Timestamp(0),
            ready: VecDeque::new(),
            is_verified,
            is_over: false,
        };
        Ok(stream_of(follower))
    }
}

struct Follower {
    executor: DockerExecutor,
    folder: AttemptFolder,
    layout: Layout,
    /// Programs print no markers.
    parser: Option<MarkerParser>,
    segment: u32,
    frames: Option<Frames>,
    /// Bytes of this container's log that were handed on.
    read: u64,
    /// Bytes to leave out, as they were handed on before the log broke off.
    to_skip: u64,
    barren: u32,
    /// The last piece had no line's end, and should have had one if another piece follows.
    owes_line_end: bool,
    at: Timestamp,
    ready: VecDeque<LogItem>,
    /// The log of the ended container was read once more. Docker's following may end before it has handed
    /// on the last bytes; with steps the end marker tells, a program has none.
    is_verified: bool,
    is_over: bool,
}

impl Reader for Follower {
    fn take_ready(&mut self) -> Option<LogItem> {
        self.ready.pop_front()
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn advance(&mut self) -> impl Future<Output = Result<(), ExecutorError>> + Send {
        self.read_on()
    }
}

impl Follower {
    fn place(&self) -> Place<'_> {
        self.executor.place(&self.folder, self.segment)
    }

    /// Takes what has arrived, or finds out why nothing does.
    async fn read_on(&mut self) -> Result<(), ExecutorError> {
        if self.frames.is_none() {
            self.executor.let_go(self.place())?;
            self.frames = Some(self.open(Mode::Follow));
            self.owes_line_end = false;
        }
        let Some(frames) = &mut self.frames else {
            return Ok(());
        };
        match tokio::time::timeout(SILENCE, frames.next()).await {
            Ok(Some(batch)) => self.take(batch).await,
            Ok(None) => self.end_of_frames().await,
            Err(_) => self.after_silence().await,
        }
    }

    fn open(&self, mode: Mode) -> Frames {
        let options = LogsOptions {
            follow: mode == Mode::Follow,
            stdout: true,
            stderr: true,
            timestamps: true,
            tail: "all".to_owned(),
            ..LogsOptions::default()
        };
        let docker = self.executor.docker().clone();
        docker.logs(&self.place().container(), Some(options)).ready_chunks(BATCH).boxed()
    }

    async fn take(&mut self, batch: Vec<Result<LogOutput, Error>>) -> Result<(), ExecutorError> {
        for frame in batch {
            match frame {
                Ok(frame) => self.take_frame(frame.into_bytes()),
                Err(error) if fault::is_not_found(&error) => {
                    return Err(ExecutorError::Gone(self.folder.slug().to_owned()));
                }
                Err(error) => return self.broken_off(&error).await,
            }
        }
        Ok(())
    }

    fn take_frame(&mut self, frame: Bytes) {
        let (at, bytes) = split_time(frame);
        if std::mem::take(&mut self.owes_line_end) {
            self.take_bytes(Bytes::from_static(b"\n"));
        }
        self.at = at.unwrap_or(self.at);
        self.owes_line_end = bytes.len() != PIECE_BYTES && !bytes.ends_with(b"\n");
        self.take_bytes(bytes);
    }

    fn take_bytes(&mut self, mut bytes: Bytes) {
        let skipped = self.to_skip.min(bytes.len() as u64);
        self.to_skip -= skipped;
        bytes.advance(usize::try_from(skipped).unwrap_or(bytes.len()));
        if bytes.is_empty() {
            return;
        }
        self.read += bytes.len() as u64;
        self.barren = 0;
        match &mut self.parser {
            Some(parser) => parser.feed(self.at, bytes, &mut self.ready),
            None => push_output(&mut self.ready, self.at, bytes),
        }
    }

    /// The daemon has no more of this log: the container has ended, or the connection. A container's log
    /// may end a moment before its state says so.
    async fn end_of_frames(&mut self) -> Result<(), ExecutorError> {
        self.frames = None;
        for _ in 0..END_TRIES {
            match self.executor.condition(&self.place().container()).await? {
                Condition::Ended(_) if !self.is_verified => {
                    self.is_verified = true;
                    self.read_again();
                    return Ok(());
                }
                Condition::Ended(_) if self.to_skip == 0 => return self.end_of_segment().await,
                Condition::Missing => {
                    return Err(ExecutorError::Gone(self.folder.slug().to_owned()));
                }
                Condition::Ended(_) | Condition::Created => break,
                Condition::Running => tokio::time::sleep(END_PAUSE).await,
            }
        }
        self.again("it ended early").await
    }

    async fn broken_off(&mut self, error: &Error) -> Result<(), ExecutorError> {
        self.frames = None;
        self.again(&error.to_string()).await
    }

    /// Reads the log once more from its beginning, leaving out what was handed on.
    async fn again(&mut self, why: &str) -> Result<(), ExecutorError> {
        self.barren += 1;
        if self.barren > BARREN_TRIES {
            return Err(ExecutorError::Unavailable {
                operation: format!("reading the log of container `{}`", self.place().container()),
                reason: why.to_owned(),
            });
        }
        self.to_skip = self.read;
        tokio::time::sleep(Duration::from_millis(50) * self.barren.min(20)).await;
        Ok(())
    }

    /// Usually a program that prints nothing. Seldom a daemon that does not end the log of an ended
    /// container: then what there is is read without following.
    async fn after_silence(&mut self) -> Result<(), ExecutorError> {
        match self.executor.condition(&self.place().container()).await? {
            Condition::Missing => Err(ExecutorError::Gone(self.folder.slug().to_owned())),
            Condition::Ended(_) => {
                self.read_again();
                Ok(())
            }
            Condition::Created | Condition::Running => self.executor.let_go(self.place()),
        }
    }

    /// Takes what there is, without following and without what was handed on.
    fn read_again(&mut self) {
        self.to_skip = self.read;
        self.frames = Some(self.open(Mode::Read));
        self.owes_line_end = false;
    }

    async fn end_of_segment(&mut self) -> Result<(), ExecutorError> {
        if let Some(parser) = &mut self.parser {
            parser.finish(self.at, &mut self.ready);
        }
        if self.segment + 1 >= self.layout.segment_count() {
            self.is_over = true;
            return Ok(());
        }
        // Another engine may have died just here: who follows lets the next container go as well.
        let exit = self.executor.wait_segment(self.place()).await?;
        self.executor.go_on_after(self.place(), &self.layout, exit.code)?;
        (self.segment, self.read, self.to_skip, self.barren) = (self.segment + 1, 0, 0, 0);
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Follow,
    Read,
}

/// Docker puts the time before each line, or piece of a long one: `2026-01-31T09:30:00.000000000Z `.
fn split_time(mut frame: Bytes) -> (Option<Timestamp>, Bytes) {
    let length = frame.iter().take(64).position(|it| *it == b' ');
    let Some(length) = length else {
        return (None, frame);
    };
    let time = frame.split_to(length + 1);
    (std::str::from_utf8(&time).ok().and_then(read_time), frame)
}

/// Reads RFC 3339 in UTC.
pub(super) fn read_time(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let days = days_since_epoch(number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let seconds = ((days * 24 + number(11, 13)?) * 60 + number(14, 16)?) * 60 + number(17, 19)?;
    let fraction = if text.get(19..20) == Some(".") { number(20, 23).unwrap_or(0) } else { 0 };
    Some(Timestamp(seconds * 1000 + fraction))
}

/// Howard Hinnant, `days_from_civil` (<https://howardhinnant.github.io/date_algorithms.html>).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests;
