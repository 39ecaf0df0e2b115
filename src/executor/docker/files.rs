//! Files into and out of an attempt's workspace, through the daemon's archive requests. They work while
//! a container waits and after it has ended.

use std::io;
use std::path::{Path, PathBuf};

use bollard::query_parameters::{
    ContainerArchiveInfoOptions, DownloadFromContainerOptions, UploadToContainerOptions,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::executor::archive::{self, Fetch, Pattern, Target};
use crate::executor::docker::{DockerExecutor, fault};
use crate::executor::layout::{Layout, Program};
use crate::executor::{ExecutorError, TarStream, folder};
use crate::model::AttemptName;

const CHUNK_BYTES: usize = 64 * 1024;
/// Bit of a file's mode, as the daemon writes it (Go's `fs.ModeSymlink`).
const SYMLINK_BIT: u32 = 1 << 27;

impl DockerExecutor {
    pub(super) async fn upload_files(
        &self,
        name: &AttemptName,
        directory: &str,
        tar: TarStream,
    ) -> Result<(), ExecutorError> {
        let (attempt, layout) = self.prepared(name)?;
        if layout.program == Program::Nothing {
            let workspace = folder::Workspace::of(&attempt, self.inner.overlay_folder.as_deref());
            return workspace.upload(directory, tar).await;
        }
        let below = Pattern::parse(directory)?;
        let root = if below.is_absolute() { "/" } else { "/workspace" };
        let target = Target {
            directory: below.prefix().to_owned(),
            owner: layout.user,
            closes_links: !below.is_absolute(),
        };
        let tar = archive::moved_to(tar, target);
        self.put_archive(&self.files_container(attempt.slug(), &layout), root, tar).await
    }

    /// Unpacks an archive in a container.
    pub(super) async fn put_archive(
        &self,
        container: &str,
        path: &str,
        tar: TarStream,
    ) -> Result<(), ExecutorError> {
        let options = UploadToContainerOptions { path: path.to_owned(), ..Default::default() };
        let body = bollard::body_try_stream(ReaderStream::with_capacity(tar, CHUNK_BYTES));
        let put = self.docker().upload_to_container(container, Some(options), body);
        put.await.map_err(|error| {
            fault::infra(format!("putting files into `{path}` of container `{container}`"), &error)
        })
    }

    pub(super) async fn download_files(
        &self,
        name: &AttemptName,
        pattern: &str,
    ) -> Result<Option<TarStream>, ExecutorError> {
        let (attempt, layout) = self.prepared(name)?;
        if layout.program == Program::Nothing {
            let workspace = folder::Workspace::of(&attempt, self.inner.overlay_folder.as_deref());
            return workspace.download(pattern).await;
        }
        let pattern = Pattern::parse(pattern)?;
        let container = self.files_container(attempt.slug(), &layout);
        let root = if pattern.is_absolute() { "/" } else { "/workspace" };
        if !self.has_no_link_above(&container, root, pattern.prefix()).await? {
            return Ok(None);
        }
        let from = Path::new(root).join(pattern.prefix());
        let Some(tar) = self.get_archive(&container, &from).await? else {
            return Ok(None);
        };
        let fetch = self.fetch_of(container.clone(), PathBuf::from(root));
        let chosen = archive::selected(tar, pattern.prefix().to_owned(), (pattern, fetch)).await;
        chosen.map_err(|error| ExecutorError::Infra {
            operation: format!("getting files of container `{container}`"),
            reason: error.to_string(),
        })
    }

    fn fetch_of(&self, container: String, root: PathBuf) -> Fetch {
        let (executor, handle) = (self.clone(), tokio::runtime::Handle::current());
        Box::new(move |path| {
            let file = root.join(path);
            let tar = executor.get_archive(&container, &file);
            handle.block_on(tar).map_err(io::Error::other)
        })
    }

    /// Whether every folder on the way is a folder: through a symlink the way leads elsewhere.
    async fn has_no_link_above(
        &self,
        container: &str,
        root: &str,
        path: &Path,
    ) -> Result<bool, ExecutorError> {
        let mut above: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
        above.retain(|it| !it.as_os_str().is_empty());
        for folder in above.iter().rev() {
            let place = Path::new(root).join(folder).to_string_lossy().into_owned();
            let options = ContainerArchiveInfoOptions { path: place };
            match self.docker().get_container_archive_info(container, Some(options)).await {
                Ok(found) if found.file_mode & SYMLINK_BIT == 0 => {}
                Ok(_) => return Ok(false),
                Err(error) if fault::is_not_found(&error) => return Ok(false),
                Err(error) => {
                    let operation = format!("looking for files of container `{container}`");
                    return Err(fault::infra(operation, &error));
                }
            }
        }
        Ok(true)
    }

    async fn get_archive(
        &self,
        container: &str,
        from: &Path,
    ) -> Result<Option<TarStream>, ExecutorError> {
        let options = DownloadFromContainerOptions { path: from.to_string_lossy().into_owned() };
        let chunks = self.docker().download_from_container(container, Some(options));
        let mut chunks = chunks.map_err(|error| (fault::is_not_found(&error), error)).boxed();
        // The first chunk tells whether there is anything.
        match chunks.next().await {
            None | Some(Err((true, _))) => Ok(None),
            Some(Err((false, error))) => {
                Err(fault::infra(format!("getting files of container `{container}`"), &error))
            }
            Some(Ok(first)) => {
                let rest = chunks.map_err(|(_, error)| io::Error::other(error));
                let all = futures_util::stream::iter([Ok(first)]).chain(rest);
                Ok(Some(Box::pin(StreamReader::new(all))))
            }
        }
    }

    /// The container through which the workspace is reached.
    fn files_container(&self, slug: &str, layout: &Layout) -> String {
        match layout.program {
            Program::Steps(_) => self.names().container(slug, 0),
            Program::Command(_) | Program::Nothing => self.names().holder(slug),
        }
    }
}
