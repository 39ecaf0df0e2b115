//! Standard output behind a thread of its own: a reader that stalls blocks that thread, never the run.

use std::io::Write as _;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

/// Pieces that may wait for a slow reader.
const QUEUE: usize = 16;

/// Writes to standard output in the background, in order.
#[derive(Debug)]
pub struct Sink {
    queue: mpsc::Sender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Sink {
    /// Starts the thread.
    #[must_use]
    pub fn start() -> Self {
        let (queue, mut pieces) = mpsc::channel::<Vec<u8>>(QUEUE);
        let thread = std::thread::spawn(move || {
            while let Some(piece) = pieces.blocking_recv() {
                let mut out = std::io::stdout().lock();
                if out.write_all(&piece).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        });
        Self { queue, thread }
    }

    /// Writes a piece; waits while the reader is slow. A reader that went away is no error: the run
    /// goes on without it.
    pub async fn write(&self, piece: Vec<u8>) {
        if !piece.is_empty() {
            let _nobody_reads = self.queue.send(piece).await;
        }
    }

    /// Writes a piece unless the reader is behind; says whether it did.
    pub fn try_write(&self, piece: Vec<u8>) -> bool {
        self.queue.try_send(piece).is_ok()
    }

    /// Whether the reader went away.
    pub fn is_abandoned(&self) -> bool {
        self.queue.is_closed()
    }

    /// Waits until everything is written.
    pub async fn close(self) {
        let Self { queue, thread } = self;
        drop(queue);
        let _panicked = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}
