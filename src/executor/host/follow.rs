//! Reads the log file of an attempt while it grows.

use std::collections::VecDeque;
use std::io::Read as _;
use std::time::Duration;
use std::{fs::File, io};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::executor::host::Now;
use crate::executor::host::process::{PAUSE, Process, Standing};
use crate::executor::host::started::Role;
use crate::executor::layout::{Layout, Program};
use crate::executor::markers::{MarkerParser, Reader, push_output, stream_of};
use crate::executor::{ExecutorError, LogItem, LogStream, control};

const CHUNK_BYTES: usize = 64 * 1024;
/// Between two looks at a log that does not grow.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// A process that has left its group may keep the log open; the end of the attempt does not wait for it.
const TAIL_TRIES: u32 = 1000;

/// The log of an attempt, to its end.
pub(super) fn follow(process: Process, layout: Layout, boot: String, now: Now) -> LogStream {
    let parser = match &layout.program {
        Program::Steps(_) => Some(MarkerParser::new(&layout.nonce)),
        Program::Command(_) => None,
        Program::Nothing => return stream::empty().boxed(),
    };
    let follower = Follower {
        process,
        layout,
        boot,
        now,
        parser,
        file: None,
        chunk: vec![0; CHUNK_BYTES],
        pause: PAUSE,
        ready: VecDeque::new(),
        is_over: false,
    };
    stream_of(follower)
}

struct Follower {
    process: Process,
    layout: Layout,
    boot: String,
    now: Now,
    parser: Option<MarkerParser>,
    file: Option<File>,
    chunk: Vec<u8>,
    pause: Duration,
    ready: VecDeque<LogItem>,
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
    async fn read_on(&mut self) -> Result<(), ExecutorError> {
        if self.take()? {
            self.pause = PAUSE;
            return Ok(());
        }
        match self.process.standing(&self.layout, &self.boot)? {
            Standing::Ended(_) => self.take_rest().await,
            Standing::Lost => {
                self.take_rest().await?;
                Err(ExecutorError::Gone(self.process.slug().to_owned()))
            }
            Standing::Unborn => {
                self.process.spawn()?;
                tokio::time::sleep(PAUSE).await;
                Ok(())
            }
            Standing::NotBegun => {
                tokio::time::sleep(LONGEST_PAUSE).await;
                Ok(())
            }
            Standing::Running(running) => {
                tokio::select! {
                    ended = running.end() => ended?,
                    () = tokio::time::sleep(self.pause) => {}
                }
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Ok(())
            }
        }
    }

    /// Reads the next piece; whether there was one.
    fn take(&mut self) -> Result<bool, ExecutorError> {
        let length =
            self.read().map_err(|error| control::failed("reading", &self.process.log(), &error))?;
        let Some(piece) = self.chunk.get(..length).filter(|it| !it.is_empty()) else {
            return Ok(false);
        };
        let (at, piece) = ((self.now)(), Bytes::copy_from_slice(piece));
        match &mut self.parser {
            Some(parser) => parser.feed(at, piece, &mut self.ready),
            None => push_output(&mut self.ready, at, piece),
        }
        Ok(true)
    }

    fn read(&mut self) -> io::Result<usize> {
        if self.file.is_none() {
            match File::open(self.process.log()) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        self.file.as_mut().map_or(Ok(0), |file| file.read(&mut self.chunk))
    }

    /// After the end of the shell: what it printed last is on its way to the file.
    async fn take_rest(&mut self) -> Result<(), ExecutorError> {
        for _ in 0..TAIL_TRIES {
            let is_whole = self.process.is_log_whole();
            if self.take()? {
                return Ok(());
            }
            if is_whole {
                break;
            }
            self.process.wait_for_writer().await;
        }
        self.process.forget(Role::Writer);
        if let Some(parser) = &mut self.parser {
            parser.finish((self.now)(), &mut self.ready);
        }
        self.is_over = true;
        Ok(())
    }
}
