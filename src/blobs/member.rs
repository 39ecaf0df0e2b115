//! The files in an archive (a zstd-compressed tar), and one of them. An archive is only read: nothing is
//! unpacked, so no name in it leads anywhere.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use async_compression::tokio::bufread::ZstdDecoder;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::io::SyncIoBridge;

use super::{BlobError, Blobs};
use crate::model::Digest;

/// Bytes handed on at once, and how many such pieces wait for a slow reader.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES: usize = 4;
/// How long a reader may take for a piece.
const PATIENCE: Duration = Duration::from_secs(30);
/// Archives that are searched at once; each holds a thread.
const SEARCHES_MAX: usize = 32;
/// Bytes of an archive, unpacked, that are read to list it.
const LISTED_BYTES_MAX: u64 = 2 << 30;

/// A file of an archive.
#[derive(Debug)]
pub struct Member {
    /// Bytes.
    pub size_bytes: u64,
    /// Its bytes, piece by piece; an error ends it early.
    pub pieces: mpsc::Receiver<std::io::Result<Bytes>>,
}

/// What an archive has under a name.
#[derive(Debug)]
pub enum Found {
    /// A file.
    File(Member),
    /// A link or something else that has no bytes of its own.
    NotAFile,
    /// Nothing.
    Nothing,
}

/// What is in an archive.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order of the archive.
    pub entries: Vec<ListedMember>,
    /// Whether that is all: neither so many nor so much was read as is allowed.
    pub is_whole: bool,
}

/// Something in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMember {
    /// Its path, without `./` before it.
    pub path: String,
    /// What it is.
    pub kind: MemberKind,
    /// Bytes.
    pub size_bytes: u64,
}

/// What something in an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A link, or something else without bytes of its own.
    Link,
}

/// Looks into archives. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archives {
    blobs: Blobs,
    searches: Arc<Semaphore>,
}

impl Archives {
    /// The archives among these blobs.
    #[must_use]
    pub fn new(blobs: Blobs) -> Self {
        Self { blobs, searches: Arc::new(Semaphore::new(SEARCHES_MAX)) }
    }

    /// The archive as a plain tar.
    pub async fn tar(
        &self,
        digest: &Digest,
    ) -> Result<impl AsyncRead + Send + Unpin + 'static, BlobError> {
        Ok(ZstdDecoder::new(BufReader::new(self.blobs.get(digest).await?)))
    }

    /// What the archive has under this path, which is compared letter by letter.
    pub async fn find(&self, digest: &Digest, path: &str) -> Result<Found, BlobError> {
        let looking = |source| BlobError::storage(format!("looking into `{digest}`"), source);
        let permit = Arc::clone(&self.searches).acquire_owned().await;
        let permit = permit.map_err(|error| looking(std::io::Error::other(error)))?;
        let tar = SyncIoBridge::new(self.tar(digest).await?);
        let (head, found) = oneshot::channel();
        let path = path.trim_end_matches('/').to_owned();
        // It ends by itself: its reader takes each piece in time, or goes.
        drop(tokio::task::spawn_blocking(move || search(tar, &path, head, permit)));
        let found = found.await.map_err(|error| looking(std::io::Error::other(error)))?;
        found.map_err(looking)
    }

    /// What is in the archive, at most so many entries.
    pub async fn list(&self, digest: &Digest, entries_max: usize) -> Result<Listing, BlobError> {
        let looking = |source| BlobError::storage(format!("looking into `{digest}`"), source);
        let permit = Arc::clone(&self.searches).acquire_owned().await;
        let permit = permit.map_err(|error| looking(std::io::Error::other(error)))?;
        let tar = SyncIoBridge::new(self.tar(digest).await?.take(LISTED_BYTES_MAX));
        let listed = tokio::task::spawn_blocking(move || {
            let _until_done = permit;
            list(tar, entries_max)
        });
        listed.await.unwrap_or_else(|error| Err(error.into())).map_err(looking)
    }
}

/// An archive that is cut off by its bound ends like one that is broken, and is listed up to there.
fn list(tar: impl std::io::Read, entries_max: usize) -> std::io::Result<Listing> {
    let mut archive = tar::Archive::new(tar);
    let mut listing = Listing::default();
    for entry in archive.entries()? {
        let Ok(entry) = entry else { return Ok(listing) };
        if listing.entries.len() >= entries_max {
            return Ok(listing);
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path).trim_end_matches('/').to_owned();
        let kind = entry.header().entry_type();
        let kind = match (kind.is_file(), kind.is_dir()) {
            (true, _) => MemberKind::File,
            (_, true) => MemberKind::Folder,
            (false, false) => MemberKind::Link,
        };
        if !path.is_empty() {
            listing.entries.push(ListedMember { path, kind, size_bytes: entry.size() });
        }
    }
    listing.is_whole = true;
    Ok(listing)
}

type Head = oneshot::Sender<std::io::Result<Found>>;

fn search(tar: impl std::io::Read, path: &str, head: Head, permit: OwnedSemaphorePermit) {
    let mut archive = tar::Archive::new(tar);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return drop(head.send(Err(error))),
    };
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => return drop(head.send(Err(error))),
        };
        if !is_called(&entry.path_bytes(), path) {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            return drop(head.send(Ok(Found::NotAFile)));
        }
        let (sender, pieces) = mpsc::channel(PIECES);
        let member = Member { size_bytes: entry.size(), pieces };
        if head.send(Ok(Found::File(member))).is_ok() {
            hand_over(&mut entry, &sender);
        }
        return drop(permit);
    }
    drop(head.send(Ok(Found::Nothing)));
}

fn is_called(name: &[u8], path: &str) -> bool {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let name = name.strip_suffix(b"/").unwrap_or(name);
    !name.is_empty() && name == path.as_bytes()
}

fn hand_over(entry: &mut impl std::io::Read, sender: &mpsc::Sender<std::io::Result<Bytes>>) {
    let runtime = tokio::runtime::Handle::current();
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = entry.take(PIECE_BYTES as u64).read_to_end(&mut piece);
        let is_over = !matches!(read, Ok(read) if read > 0);
        let piece = match read {
            Ok(0) => return,
            Ok(_) => Ok(Bytes::from(piece)),
            Err(error) => Err(error),
        };
        let sent = runtime.block_on(tokio::time::timeout(PATIENCE, sender.send(piece)));
        if is_over || !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}
