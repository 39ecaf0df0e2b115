//! Keeps the lines of the ledger in a file: appended in batches, taken up again at the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, SeekFrom};
use tokio_util::sync::CancellationToken;

use crate::gateway::ledger::{BATCH_EVERY, Ledger};

/// The file of one ledger.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    ledger: Arc<Ledger>,
    /// What is not in the file yet.
    text: String,
    /// Its lines.
    lines: u64,
}

impl Journal {
    /// Opens the file, and has the ledger take up what is in it. A last line that is not whole is what
    /// a killed process left of a batch: it is cut off.
    pub async fn open(path: &Path, ledger: Arc<Ledger>) -> std::io::Result<(Self, usize)> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .await?;
        let mut text = String::new();
        file.read_to_string(&mut text).await?;
        let whole = text.rfind('\n').map_or(0, |it| it + 1);
        let entries = ledger.replay(text.get(..whole).unwrap_or_default());
        file.set_len(whole as u64).await?;
        file.seek(SeekFrom::End(0)).await?;
        let (path, text) = (path.to_owned(), String::new());
        ledger.lines_are_written(0);
        Ok((Self { path, file, ledger, text, lines: 0 }, entries))
    }

    /// Writes batches until `over`, and then what is left. While the disk refuses, lines wait, and the
    /// ledger lets no call through once too many do.
    pub async fn keep(mut self, over: CancellationToken) -> std::io::Result<()> {
        loop {
            let is_over = tokio::time::timeout(BATCH_EVERY, over.cancelled()).await.is_ok();
            for line in self.ledger.take_lines() {
                self.text.push_str(&line);
                self.text.push('\n');
                self.lines += 1;
            }
            let written = self.write().await;
            if is_over {
                written?;
                return self.file.sync_data().await;
            }
            if let Err(error) = written {
                tracing::error!(file = %self.path.display(), %error, "the ledger cannot be written");
                tokio::time::sleep(10 * BATCH_EVERY).await;
            }
        }
    }

    /// All that waits, or nothing: what was half written is cut off again.
    async fn write(&mut self) -> std::io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let before = self.file.metadata().await?.len();
        let mut written = self.file.write_all(self.text.as_bytes()).await;
        if written.is_ok() {
            written = self.file.flush().await;
        }
        if written.is_err() {
            self.file.set_len(before).await?;
            self.file.seek(SeekFrom::End(0)).await?;
        } else {
            self.text.clear();
            self.ledger.lines_are_written(std::mem::take(&mut self.lines));
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::budget::account::Amount;
    use crate::gateway::budget::scope::Subject;
    use crate::gateway::budget::{CallId, Reservation};
    use crate::model::{Timestamp, UsdNanos};

    fn call(request: u128) -> Reservation {
        let estimate = Amount { money: UsdNanos(5), tokens: 1 };
        let id = CallId { request, attempt: 1 };
        Reservation {
            id,
            subject: Subject::default(),
            estimate,
            deadline: Timestamp(9),
            requests: 1,
        }
    }

    #[tokio::test]
    async fn a_journal_is_taken_up_again_and_a_half_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let over = CancellationToken::new();
        let ledger = Arc::new(Ledger::new(Vec::new(), true));
        let (journal, entries) = Journal::open(&path, ledger.clone()).await.unwrap();
        assert_eq!(entries, 0);
        ledger.reserve(call(1), Timestamp(0)).await.unwrap();
        ledger.reserve(call(2), Timestamp(0)).await.unwrap();
        over.cancel();
        journal.keep(over.clone()).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"entry\":")).unwrap();

        let ledger = Arc::new(Ledger::new(Vec::new(), true));
        let (journal, entries) = Journal::open(&path, ledger.clone()).await.unwrap();
        assert_eq!((entries, ledger.open_calls()), (2, 2));
        ledger.sweep(Timestamp(9));
        journal.keep(over).await.unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 4);
        assert!(lines.starts_with(&text) && lines.ends_with('\n'), "{lines}");
    }
}
