//! Files in and out of workspaces: artifacts of needs and caches before the attempt, artifacts and
//! caches after it. Archives are zstd-compressed tar.

use async_compression::tokio::bufread::{ZstdDecoder, ZstdEncoder};
use tokio::io::{AsyncReadExt as _, BufReader};

use crate::blobs::{BlobError, StoredBlob};
use crate::engine::{ArtifactRef, AttemptOutcome};
use crate::executor::{Executor, TarStream};
use crate::model::{AttemptName, Digest, Timestamp};
use crate::pipeline::plan::Artifacts;
use crate::store::artifacts::ArtifactRow;
use crate::store::caches::CacheRow;
use crate::worker::attempt::failure::Failure;
use crate::worker::attempt::job::{CacheUse, Job};
use crate::worker::attempt::log::AttemptLog;
use crate::worker::attempt::patience::patiently;
use crate::worker::attempt::spool::{Content, LeftOut, Links, Spool};
use crate::worker::attempt::{Attempt, collect};

/// The largest archive of one declared path.
const ARCHIVE_MAX_BYTES: u64 = 16 << 30;

/// Something stored, and what is in it.
struct Archive {
    blob: StoredBlob,
    content: Content,
}

/// What came of a declared path.
#[derive(Default)]
struct Packed {
    archive: Option<Archive>,
    /// Whether anything matches, if only an empty folder.
    is_there: bool,
    left_out: Vec<LeftOut>,
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
    /// A file that a passed attempt should have made and has not fails it.
    pub(in crate::worker) async fn store_artifacts(
        &self,
        job: &Job,
        artifacts: &Artifacts,
        outcome: &mut AttemptOutcome,
    ) -> Result<(), Failure> {
        let was_passed = outcome.is_passed();
        for path in &artifacts.paths {
            let packed = self.pack(path, links_of(path)).await?;
            collect::note_left_out(outcome, path, &packed.left_out, was_passed);
            if let Some(archive) = packed.archive {
                outcome.artifacts.push(ArtifactRef {
                    path: path.clone(),
                    digest: archive.blob.digest,
                    size_bytes: archive.blob.size_bytes,
                    unpacked_bytes: Some(archive.content.bytes),
                    files: archive.content.files,
                });
            } else if packed.is_there && packed.left_out.is_empty() {
                outcome.warnings.push(format!("the artifact `{path}` has no files in it"));
            } else if !packed.is_there {
                self.note_missing(outcome, ("artifact", path), was_passed).await;
            }
        }
        let expires_at = self.worker.parts.clock.now().plus(artifacts.expire);
        let row = |it| row(&self.name, &job.setup.stage, it, expires_at);
        let rows: Vec<_> = outcome.artifacts.iter().map(row).collect();
        let inserted = self.worker.parts.runs.store().insert_artifacts(&rows).await;
        inserted.map_err(|error| Failure::infra("storing the artifacts", &error))
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
        let packed = self.pack(path, links_of(path)).await?;
        for LeftOut { path, reason } in &packed.left_out {
            tracing::warn!(attempt = %self.name, path = %path.display(), reason, "not in the cache");
        }
        let Some(archive) = packed.archive else { return Ok(()) };
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

    /// Packs what matches a declared path into the blob store.
    async fn pack(&self, path: &str, links: Links) -> Result<Packed, Failure> {
        let executor = &self.worker.parts.executor;
        let Some(tar) = patiently(|| executor.download(&self.name, path)).await? else {
            return Ok(Packed::default());
        };
        let spool = Spool::fill(&self.worker.settings.state_folder, tar, links)
            .await
            .map_err(|error| Failure::infra(&format!("reading `{path}`"), &error))?;
        let (content, left_out) = (spool.content, spool.left_out);
        if content.files == 0 {
            return Ok(Packed { archive: None, is_there: true, left_out });
        }
        let packed = ZstdEncoder::new(BufReader::new(spool.file));
        let blob = self.worker.parts.blobs.put(Box::pin(packed), ARCHIVE_MAX_BYTES).await?;
        Ok(Packed { archive: Some(Archive { blob, content }), is_there: true, left_out })
    }

    /// The content of the files that match a glob, by path; at most `limit_bytes` in all.
    pub(in crate::worker) async fn read_files(
        &self,
        pattern: &str,
        limit_bytes: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let executor = &self.worker.parts.executor;
        let downloaded = patiently(|| executor.download(&self.name, pattern)).await;
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

/// Whatever an absolute path stands for lies in `/`, and so does what its links lead to.
fn links_of(path: &str) -> Links {
    if path.starts_with('/') { Links::All } else { Links::InsideOrAbsolute }
}

fn cache_scope(job: &Job, path: &str) -> String {
    format!("{}\n{path}", job.setup.origin.repository.display())
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
