//! Files in and out of workspaces: artifacts of needs and caches before the attempt, artifacts and
//! caches after it. Archives are zstd-compressed tar.

use std::path::{Path, PathBuf};

use async_compression::tokio::bufread::{ZstdDecoder, ZstdEncoder};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _, BufReader};

use crate::blobs::{BlobError, StoredBlob};
use crate::engine::ArtifactRef;
use crate::executor::{Executor, TarStream};
use crate::model::{AttemptName, Digest, Timestamp};
use crate::pipeline::plan::Artifacts;
use crate::store::artifacts::ArtifactRow;
use crate::store::caches::CacheRow;
use crate::worker::attempt::Attempt;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::job::{CacheUse, Job};
use crate::worker::attempt::log::AttemptLog;

/// The largest archive of one declared path.
const ARCHIVE_MAX_BYTES: u64 = 16 << 30;

/// Something stored, and what is in it.
struct Archive {
    blob: StoredBlob,
    content: Content,
}

/// What is in an archive. Folders do not count.
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    files: u64,
    bytes: u64,
}

impl<E: Executor> Attempt<E> {
    /// Unpacks the artifacts of its needs and the caches it uses.
    pub(in crate::worker) async fn bring_files(
        &self,
        job: &Job,
        log: &mut AttemptLog,
    ) -> Result<(), Failure> {
        for artifact in &job.inherited {
            self.unpack(&artifact.path, &artifact.digest).await?;
        }
        for cache in &job.caches {
            self.restore(job, cache, log).await?;
        }
        Ok(())
    }

    async fn unpack(&self, path: &str, digest: &Digest) -> Result<(), Failure> {
        let packed = self.worker.parts.blobs.get(digest).await?;
        let tar: TarStream = Box::pin(ZstdDecoder::new(BufReader::new(packed)));
        let folder = if path.starts_with('/') { "/" } else { "." };
        Ok(self.worker.parts.executor.upload(&self.name, folder, tar).await?)
    }

    async fn restore(
        &self,
        job: &Job,
        cache: &CacheUse,
        log: &mut AttemptLog,
    ) -> Result<(), Failure> {
        let store = self.worker.parts.runs.store();
        for path in &cache.paths {
            let scope = cache_scope(job, path);
            let now = self.worker.parts.clock.now();
            let found = store.find_cache(&scope, &cache.key, &cache.fallback, now).await;
            let line = match found.map_err(|error| Failure::infra("reading the caches", &error))? {
                None => format!("cache `{}`: nothing stored yet for `{path}`", cache.key),
                Some(row) => match self.unpack(path, &row.digest).await {
                    Ok(()) => {
                        format!("cache `{}`: `{path}` restored from `{}`", cache.key, row.key)
                    }
                    // A cache is a convenience: without it the stage is slower, not wrong.
                    Err(lost) => format!("cache `{}`: not restored: {}", cache.key, lost.message),
                },
            };
            log.say_before_output(&line).await?;
        }
        Ok(())
    }

    /// Stores the declared artifacts; rows first come with the blobs, so that nothing collects them.
    pub(in crate::worker) async fn store_artifacts(
        &self,
        job: &Job,
        artifacts: &Artifacts,
    ) -> Result<Vec<ArtifactRef>, Failure> {
        let mut refs = Vec::new();
        for path in &artifacts.paths {
            if let Some(archive) = self.pack(path).await? {
                refs.push(ArtifactRef {
                    path: path.clone(),
                    digest: archive.blob.digest,
                    size_bytes: archive.blob.size_bytes,
                    unpacked_bytes: Some(archive.content.bytes),
                    files: archive.content.files,
                });
            }
        }
        let expires_at = self.worker.parts.clock.now().plus(artifacts.expire);
        let rows: Vec<_> =
            refs.iter().map(|it| row(&self.name, &job.setup.stage, it, expires_at)).collect();
        let inserted = self.worker.parts.runs.store().insert_artifacts(&rows).await;
        inserted.map_err(|error| Failure::infra("storing the artifacts", &error))?;
        Ok(refs)
    }

    /// Stores the caches whose exact key is not there yet. A failure is only logged.
    pub(in crate::worker) async fn save_caches(&self, job: &Job) {
        for cache in &job.caches {
            for path in &cache.paths {
                if let Err(failure) = self.save_cache(job, cache, path).await {
                    tracing::warn!(attempt = %self.name, path, "cache not saved: {}", failure.message);
                }
            }
        }
    }

    async fn save_cache(&self, job: &Job, cache: &CacheUse, path: &str) -> Result<(), Failure> {
        let store = self.worker.parts.runs.store();
        let scope = cache_scope(job, path);
        let now = self.worker.parts.clock.now();
        let found = store.find_cache(&scope, &cache.key, &[], now).await;
        if found.map_err(|error| Failure::infra("reading the caches", &error))?.is_some() {
            return Ok(());
        }
        let Some(archive) = self.pack(path).await? else { return Ok(()) };
        let row = CacheRow {
            scope,
            key: cache.key.clone(),
            digest: archive.blob.digest,
            size_bytes: i64::try_from(archive.blob.size_bytes).unwrap_or(i64::MAX),
            used_at: now,
            created_at: now,
        };
        store
            .insert_cache(&row)
            .await
            .map_err(|error| Failure::infra("storing the cache", &error))?;
        Ok(())
    }

    /// Packs what matches a declared path into the blob store; `None` when nothing does.
    async fn pack(&self, path: &str) -> Result<Option<Archive>, Failure> {
        let downloaded = self.worker.parts.executor.download(&self.name, path).await;
        let Some(tar) = downloaded? else { return Ok(None) };
        let spool = Spool::fill(&self.worker.settings.state_folder, tar)
            .await
            .map_err(|error| Failure::infra(&format!("reading `{path}`"), &error))?;
        let content = spool.content().await?;
        if content.files == 0 {
            return Ok(None);
        }
        let packed = ZstdEncoder::new(BufReader::new(spool.file));
        let blob = self.worker.parts.blobs.put(Box::pin(packed), ARCHIVE_MAX_BYTES).await?;
        Ok(Some(Archive { blob, content }))
    }

    /// The content of the files that match a glob, by path; at most `limit_bytes` in all.
    pub(in crate::worker) async fn read_files(
        &self,
        pattern: &str,
        limit_bytes: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let downloaded = self.worker.parts.executor.download(&self.name, pattern).await;
        let Some(tar) = downloaded? else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        let read = tar.take(limit_bytes + 1).read_to_end(&mut bytes).await;
        let read = read.map_err(|error| Failure::infra(&format!("reading `{pattern}`"), &error))?;
        if read as u64 > limit_bytes {
            let what = pattern.to_owned();
            return Err(BlobError::TooLarge { what, limit_bytes }.into());
        }
        entries_of(&bytes).map_err(|error| Failure::infra(&format!("reading `{pattern}`"), &error))
    }
}

/// The row that makes an attempt the owner of an archive.
pub(in crate::worker) fn row(
    attempt: &AttemptName,
    stage_key: &str,
    artifact: &ArtifactRef,
    expires_at: Timestamp,
) -> ArtifactRow {
    ArtifactRow {
        attempt: attempt.clone(),
        stage_key: stage_key.to_owned(),
        path: artifact.path.clone(),
        digest: artifact.digest.clone(),
        size_bytes: i64::try_from(artifact.size_bytes).unwrap_or(i64::MAX),
        files: i64::try_from(artifact.files).unwrap_or(i64::MAX),
        expires_at,
    }
}

fn cache_scope(job: &Job, path: &str) -> String {
    format!("{}\n{path}", job.setup.repository.display())
}

fn entries_of(tar: &[u8]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    use std::io::Read as _;
    let mut files = Vec::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let path = entry.path()?.display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.push((path, content));
        }
    }
    Ok(files)
}

/// A tar archive in an unnamed temporary file, so that it can be counted before it is packed and is gone
/// with this process.
struct Spool {
    file: tokio::fs::File,
}

impl Spool {
    async fn fill(state_folder: &Path, mut tar: TarStream) -> std::io::Result<Self> {
        let folder: PathBuf = state_folder.join("tmp");
        tokio::fs::create_dir_all(&folder).await?;
        let path = folder.join(format!("spool-{:016x}", fastrand::u64(..)));
        let mut options = tokio::fs::OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(&path).await?;
        tokio::fs::remove_file(&path).await?;
        let mut file = file;
        tokio::io::copy(&mut tar, &mut file).await?;
        file.flush().await?;
        file.rewind().await?;
        Ok(Self { file })
    }

    async fn content(&self) -> Result<Content, Failure> {
        let file = self
            .file
            .try_clone()
            .await
            .map_err(|error| Failure::infra("counting files", &error))?;
        let mut file = file.into_std().await;
        let counted = tokio::task::spawn_blocking(move || -> std::io::Result<Content> {
            use std::io::Seek as _;
            let mut content = Content::default();
            for entry in tar::Archive::new(&file).entries_with_seek()? {
                let entry = entry?;
                if !entry.header().entry_type().is_dir() {
                    content.files += 1;
                    content.bytes += entry.size();
                }
            }
            file.rewind()?;
            Ok(content)
        });
        match counted.await {
            Ok(counted) => counted.map_err(|error| Failure::infra("counting files", &error)),
            Err(error) => Err(Failure::infra("counting files", &error)),
        }
    }
}
