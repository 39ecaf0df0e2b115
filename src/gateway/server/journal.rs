//! Keeps the lines of the ledger in a file: appended in batches, taken up again at the next start.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::gateway::ledger::{BATCH_EVERY, Ledger};

/// The largest text that is kept for the next batch to be written into.
const ROOM_BYTES: usize = 1 << 20;
/// How long a gateway that ends is waited for: longer than its calls have to finish.
const LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Lines that cannot be read of which is said why.
const DAMAGED_MAX: usize = 20;

/// The file of one ledger.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    ledger: Arc<Ledger>,
    pages: Pages,
}

/// What a thread that may wait for the disk works with.
#[derive(Debug)]
struct Pages {
    file: File,
    /// What is not in the file yet.
    text: String,
}

impl Journal {
    /// Opens the file, which no other process may write meanwhile, and has the ledger take up what is in it, line by
    /// line. A last line that is not whole is what a killed process left of a batch: it is cut off.
    pub async fn open(path: &Path, ledger: Arc<Ledger>) -> io::Result<(Self, usize)> {
        let (path, of_ledger) = (path.to_owned(), ledger.clone());
        let (file, entries, path) = blocking(move || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let mut file = options.open(&path)?;
            lock(&file)?;
            let found = read(&file, &of_ledger)?;
            found.tell();
            file.set_len(found.whole)?;
            file.seek(SeekFrom::End(0))?;
            Ok((file, found.entries, path))
        })
        .await?;
        let pages = Pages { file, text: String::new() };
        ledger.lines_are_written(0);
        Ok((Self { path, ledger, pages }, entries))
    }

    /// Writes batches until `over`, and then what is left. While the disk refuses, lines wait, and the ledger lets no
    /// call through: what a killed process had not written would be spent again.
    pub async fn keep(self, over: CancellationToken) -> io::Result<()> {
        let Self { path, ledger, mut pages } = self;
        let mut room = String::new();
        loop {
            let is_over = tokio::time::timeout(BATCH_EVERY, over.cancelled()).await.is_ok();
            let lines = ledger.take_lines(room);
            if lines.is_empty() && pages.text.is_empty() && !is_over {
                room = lines;
                continue;
            }
            let written;
            (pages, room, written) = blocking(move || Ok(pages.write(lines))).await?;
            if is_over {
                ledger.lines_are_written(written?);
                return blocking(move || pages.file.sync_data()).await;
            }
            match written {
                Ok(bytes) => ledger.lines_are_written(bytes),
                Err(error) => {
                    ledger.lines_cannot_be_written();
                    tracing::error!(file = %path.display(), %error, "the ledger cannot be written");
                    tokio::time::sleep(10 * BATCH_EVERY).await;
                }
            }
        }
    }
}

impl Pages {
    /// All that waits, or nothing: what was half written is cut off again. Gives back room for the next lines, and how
    /// many bytes were written.
    fn write(mut self, lines: String) -> (Self, String, io::Result<u64>) {
        let mut room = if self.text.is_empty() {
            std::mem::replace(&mut self.text, lines)
        } else {
            self.text.push_str(&lines);
            lines
        };
        let written = self.append().map(|()| self.text.len() as u64);
        if written.is_ok() {
            self.text.clear();
        }
        for text in [&mut self.text, &mut room] {
            if text.capacity() > ROOM_BYTES && text.len() < ROOM_BYTES {
                text.shrink_to(ROOM_BYTES);
            }
        }
        (self, room, written)
    }

    fn append(&mut self) -> io::Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let before = self.file.metadata()?.len();
        let written = self.file.write_all(self.text.as_bytes());
        if written.is_err() {
            self.file.set_len(before)?;
            self.file.seek(SeekFrom::End(0))?;
        }
        written
    }
}

/// Makes the file this process's own: two that write it would overwrite each other, and each would grant all of a
/// budget. A gateway that ends writes to its end first, so it is waited for.
fn lock(file: &File) -> io::Result<()> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= LOCK_WAIT => {
                let message = "another process writes it, and a ledger is of one gateway: end that one, or name \
                               another file";
                return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
            }
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!("the ledger is another process's; waiting until that has ended");
                }
                std::thread::sleep(LOCK_PAUSE);
            }
        }
    }
}

/// What is in a file.
#[derive(Debug, Default)]
struct Found {
    entries: usize,
    /// Where the last whole line ends.
    whole: u64,
    /// Lines that cannot be read.
    damaged: u64,
    /// The first of those: their numbers, and why.
    reasons: Vec<(u64, String)>,
}

impl Found {
    /// Names the lines that cannot be read.
    fn tell(&self) {
        let hint = "what it tells of is in no budget";
        for (line, why) in &self.reasons {
            tracing::error!(line, why, hint, "a line of the ledger cannot be read");
        }
        if self.damaged > self.reasons.len() as u64 {
            tracing::error!(
                lines = self.damaged,
                hint,
                "so many lines of the ledger cannot be read"
            );
        }
    }
}

/// Has the ledger take up the whole lines of a file.
fn read(file: &File, ledger: &Ledger) -> io::Result<Found> {
    let (mut lines, mut line) = (BufReader::new(file), Vec::new());
    let mut found = Found::default();
    for number in 1_u64.. {
        line.clear();
        let length = lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        match ledger.take_up(&line) {
            Ok(is_entry) => found.entries += usize::from(is_entry),
            Err(why) => {
                found.damaged += 1;
                if found.reasons.len() < DAMAGED_MAX {
                    found.reasons.push((number, why));
                }
            }
        }
        found.whole += length as u64;
    }
    Ok(found)
}

/// On a thread that may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
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

    #[tokio::test]
    async fn lines_that_are_no_json_or_say_something_else_are_named_and_the_others_count() {
        let ledger = Ledger::new(Vec::new(), true);
        ledger.reserve(call(1), Timestamp(0)).await.unwrap();
        ledger.reserve(call(2), Timestamp(0)).await.unwrap();
        let lines = ledger.take_lines(String::new());
        let (first, second) = lines.trim_end().split_once('\n').unwrap();
        let bad = first.replace("\"money\":5", "\"money\":\"x\"");
        assert_ne!(bad, first);
        let alert = "{\"alert\":{\"budget\":\"all\"}}";
        let text =
            [bad.as_str(), second, "{\"credit\":{\"money\":5}}", alert, "no json", first, "{\"ent"];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        std::fs::write(&path, text.join("\n")).unwrap();
        let ledger = Ledger::new(Vec::new(), true);
        let found = read(&File::open(&path).unwrap(), &ledger).unwrap();
        assert_eq!((found.entries, found.damaged, ledger.open_calls()), (2, 3, 2));
        assert_eq!(found.reasons.iter().map(|it| it.0).collect::<Vec<_>>(), [1, 3, 5]);
        let reasons: Vec<_> = found.reasons.iter().map(|it| it.1.as_str()).collect();
        assert!(reasons[0].starts_with("invalid type: string"), "{reasons:?}");
        assert!(reasons[1].starts_with("it is of the kind `credit`"), "{reasons:?}");
        std::fs::write(&path, "x\n".repeat(1000)).unwrap();
        let many = read(&File::open(&path).unwrap(), &ledger).unwrap();
        assert_eq!((many.damaged, many.reasons.len(), many.whole), (1000, DAMAGED_MAX, 2000));
    }

    #[tokio::test]
    async fn the_next_process_has_the_ledger_once_the_one_before_has_written_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let over = CancellationToken::new();
        let ledger = Arc::new(Ledger::new(Vec::new(), true));
        let (journal, _) = Journal::open(&path, ledger.clone()).await.unwrap();
        ledger.reserve(call(1), Timestamp(0)).await.unwrap();
        let other = Arc::new(Ledger::new(Vec::new(), true));
        let mut next = std::pin::pin!(Journal::open(&path, other));
        let waited = tokio::time::timeout(3 * LOCK_PAUSE, next.as_mut()).await;
        assert!(waited.is_err(), "two write it at the same time");
        ledger.reserve(call(2), Timestamp(0)).await.unwrap();
        over.cancel();
        journal.keep(over).await.unwrap();
        let (_next, entries) = next.await.unwrap();
        assert_eq!(entries, 2, "it has all that the one before has written");
    }

    #[tokio::test]
    async fn while_nothing_can_be_written_no_call_is_let_through() {
        // Every write to it fails as on a full disk.
        let file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        let ledger = Arc::new(Ledger::new(Vec::new(), true));
        let over = CancellationToken::new();
        let pages = Pages { file, text: String::new() };
        let path = PathBuf::from("/dev/full");
        let journal = Journal { path, ledger: ledger.clone(), pages };
        ledger.reserve(call(1), Timestamp(0)).await.unwrap();
        let keep = journal.keep(over.clone());
        let refused = async {
            for request in 2.. {
                if ledger.reserve(call(request), Timestamp(0)).await.is_err() {
                    break;
                }
                tokio::time::sleep(BATCH_EVERY).await;
            }
            over.cancel();
        };
        let (kept, ()) = tokio::join!(keep, refused);
        assert!(kept.is_err(), "what was not written is told of");
        ledger.lines_are_written(0);
        ledger.reserve(call(1_000_000), Timestamp(0)).await.unwrap();
    }
}
