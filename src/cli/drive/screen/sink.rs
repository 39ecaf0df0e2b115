//! Standard output behind a thread of its own: a reader that stalls blocks that thread, never the run.

use std::io::{self, ErrorKind, Write as _};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

/// Pieces that may wait for a slow reader.
const QUEUE: usize = 16;

/// Writes to standard output in the background, in order.
#[derive(Debug)]
pub struct Sink {
    queue: mpsc::Sender<Vec<u8>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Sink {
    /// Starts the thread.
    #[must_use]
    pub fn start() -> Self {
        let (queue, pieces) = mpsc::channel::<Vec<u8>>(QUEUE);
        let thread = std::thread::spawn(move || write_all(pieces));
        Self { queue, thread }
    }

    /// Writes a piece; waits while the reader is slow. A run goes on also when nothing can be written:
    /// [`Self::close`] tells.
    pub async fn write(&self, piece: Vec<u8>) {
        if !piece.is_empty() {
            let _told_at_the_end = self.queue.send(piece).await;
        }
    }

    /// Writes a piece unless the reader is behind; says whether it did.
    pub fn try_write(&self, piece: Vec<u8>) -> bool {
        self.queue.try_send(piece).is_ok()
    }

    /// Whether nothing is written any more.
    pub fn is_abandoned(&self) -> bool {
        self.queue.is_closed()
    }

    /// Waits until everything is written, and fails if it could not be. A reader that went away is no
    /// error: it has what it wanted.
    pub async fn close(self) -> io::Result<()> {
        let Self { queue, thread } = self;
        drop(queue);
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(Err(error))) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(io::Error::other("the thread that writes has stopped")),
        }
    }
}

fn write_all(mut pieces: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(piece) = pieces.blocking_recv() {
        let mut out = io::stdout().lock();
        out.write_all(&piece).and_then(|()| out.flush())?;
    }
    Ok(())
}
