//! Images: getting them, and what must be known about one before a container is made of it.

mod build;
mod registry;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ImageInspect};
use bollard::query_parameters::{
    ContainerArchiveInfoOptions, CreateImageOptions, DownloadFromContainerOptions,
    RemoveContainerOptions,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::executor::docker::{DockerExecutor, fault, names};
use crate::executor::{ExecutorError, Pull, archive, control};

/// An image's `/etc/passwd` is read up to this size.
const ACCOUNTS_LIMIT_BYTES: u64 = 1024 * 1024;

/// What is known about images, by image id; the same is kept in files, for it takes a container to know.
#[derive(Debug, Default)]
pub(super) struct ImageCache {
    known: Mutex<HashMap<String, Arc<OnceCell<Contents>>>>,
}

/// What an image contains. Never changes, as an id stands for the content.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Contents {
    has_shell: bool,
    passwd: String,
    group: String,
}

/// An image that is here.
#[derive(Debug, Clone)]
pub(super) struct ImageFacts {
    /// `USER` of the image.
    config_user: String,
    contents: Contents,
}

impl DockerExecutor {
    /// Gets the image if it must be got, and says what is in it.
    pub(super) async fn image_facts(
        &self,
        image: &str,
        pull: Pull,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageFacts, ExecutorError> {
        let inspect = self.ensure_image(image, pull, progress).await?;
        let id = inspect.id.unwrap_or_else(|| image.to_owned());
        let config_user = inspect.config.and_then(|it| it.user).unwrap_or_default();
        // Many stages ask at once: one looks, the others wait for it.
        let cell = {
            let images = &self.inner.images;
            let mut known = images.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.entry(id.clone()).or_default().clone()
        };
        let contents = cell.get_or_try_init(|| self.find_contents(&id)).await?.clone();
        Ok(ImageFacts { config_user, contents })
    }

    /// What another process wrote down, or a look. One process looks at a time.
    async fn find_contents(&self, id: &str) -> Result<Contents, ExecutorError> {
        let path = self.contents_path(id);
        let lock_path = path.with_extension("lock");
        let taken = tokio::task::spawn_blocking({
            let path = lock_path.clone();
            move || take_lock(&path)
        });
        let _lock = taken
            .await
            .unwrap_or_else(|error| Err(error.into()))
            .map_err(|error| control::failed("locking", &lock_path, &error))?;
        let written = std::fs::read(&path).ok().and_then(|it| serde_json::from_slice(&it).ok());
        if let Some(contents) = written {
            return Ok(contents);
        }
        let contents = match self.look_into(id).await {
            Ok(contents) => contents,
            // The daemon may just have carried out the removal of a process that was killed.
            Err(_) => self.look_into(id).await?,
        };
        serde_json::to_vec(&contents)
            .map_err(std::io::Error::from)
            .and_then(|it| control::write_whole(&path, &it, 0o600))
            .map_err(|error| control::failed("writing", &path, &error))?;
        Ok(contents)
    }

    /// The right to look into an image, if nobody has it.
    pub(super) fn try_lock_image(&self, id: &str) -> Option<File> {
        let path = self.contents_path(id).with_extension("lock");
        let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
        let how = rustix::fs::FlockOperation::NonBlockingLockExclusive;
        rustix::fs::flock(&file, how).ok().map(|()| file)
    }

    /// The id of an image that is here.
    pub(super) async fn local_image_id(
        &self,
        image: &str,
    ) -> Result<Option<String>, ExecutorError> {
        Ok(self.find_image(image).await?.and_then(|it| it.id))
    }

    async fn ensure_image(
        &self,
        image: &str,
        pull: Pull,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageInspect, ExecutorError> {
        if pull != Pull::Always
            && let Some(found) = self.find_image(image).await?
        {
            return Ok(found);
        }
        let missing = |reason: String, is_definite: bool| ExecutorError::Image {
            image: image.to_owned(),
            reason,
            is_definite,
        };
        if pull == Pull::Never {
            let reason = format!(
                "`pull: never` forbids it. Build or load it on this machine (`docker image ls` lists \
                 what is here), or write `pull: if_missing`; looked for `{image}`"
            );
            return Err(missing(reason, true));
        }
        let pulled = self.pull(image, progress).await;
        pulled.map_err(|error| missing(advice(&error), is_answer(&fault::said(&error))))?;
        let found = self.find_image(image).await?;
        found.ok_or_else(|| missing("the registry sent something else".to_owned(), false))
    }

    async fn find_image(&self, image: &str) -> Result<Option<ImageInspect>, ExecutorError> {
        match fault::retry(|| self.docker().inspect_image(image)).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if fault::is_not_found(&error) => Ok(None),
            Err(error) if fault::status(&error) == Some(400) => Err(ExecutorError::Rejected(
                format!("`{image}` is not a valid image reference: {}", fault::message(&error)),
            )),
            Err(error) => Err(fault::infra(format!("looking for image `{image}`"), &error)),
        }
    }

    async fn pull(
        &self,
        image: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        progress(format!("pulling image {image}"));
        let (repository, tag) = registry::split_tag(image);
        let options = CreateImageOptions {
            from_image: Some(repository.to_owned()),
            tag: Some(tag.unwrap_or("latest").to_owned()),
            ..CreateImageOptions::default()
        };
        let credentials = registry::credentials(&self.inner.settings, image);
        let mut lines = self.docker().create_image(Some(options), None, credentials);
        while let Some(line) = lines.try_next().await? {
            // Byte counts change many times a second; a person wants to know about whole layers.
            let status = line.status.unwrap_or_default();
            let is_step = line.progress_detail.is_none_or(|it| it.total.is_none());
            if is_step && !status.is_empty() {
                let layer = line.id.map(|id| format!("{id}: ")).unwrap_or_default();
                progress(format!("{layer}{status}"));
            }
        }
        Ok(())
    }

    fn contents_path(&self, id: &str) -> PathBuf {
        let file = id.replace(|it: char| !it.is_ascii_alphanumeric(), "-");
        self.inner.settings.state_folder.join("images").join(format!("{file}.json"))
    }

    /// Makes a container that never starts, to read the image's files. Its name is always the same, so
    /// that one which a killed process left behind is used, and removed, by the next.
    async fn look_into(&self, id: &str) -> Result<Contents, ExecutorError> {
        let state_folder = self.inner.settings.state_folder.display().to_string();
        let config = ContainerCreateBody {
            image: Some(id.to_owned()),
            entrypoint: Some(vec!["-".to_owned()]),
            labels: Some(HashMap::from([(names::PROBE.to_owned(), state_folder.clone())])),
            ..ContainerCreateBody::default()
        };
        let name = names::probe(&state_folder, id);
        self.find_or_create(&name, &config).await?;
        let contents = self.read_contents(&name).await;
        let options =
            RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        // Were it not there any more, files would seem to be missing that are not.
        let removed = self.docker().remove_container(&name, Some(options)).await;
        let contents = contents.and_then(|it| removed.map(|()| it));
        contents.map_err(|error| fault::infra(format!("looking into image `{id}`"), &error))
    }

    async fn read_contents(&self, container: &str) -> Result<Contents, Error> {
        let options = ContainerArchiveInfoOptions { path: "/bin/sh".to_owned() };
        let has_shell =
            match self.docker().get_container_archive_info(container, Some(options)).await {
                Ok(_) => true,
                Err(error) if fault::is_not_found(&error) => false,
                Err(error) => return Err(error),
            };
        let passwd = self.read_text(container, "/etc/passwd").await?;
        let group = self.read_text(container, "/etc/group").await?;
        Ok(Contents { has_shell, passwd, group })
    }

    async fn read_text(&self, container: &str, path: &str) -> Result<String, Error> {
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let stream = self.docker().download_from_container(container, Some(options));
        let mut tar = Vec::new();
        let mut stream = std::pin::pin!(stream);
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(bytes) => tar.extend_from_slice(&bytes),
                Err(error) if fault::is_not_found(&error) => return Ok(String::new()),
                Err(error) => return Err(error),
            }
            if tar.len() as u64 > ACCOUNTS_LIMIT_BYTES {
                break;
            }
        }
        Ok(archive::first_file(&tar).unwrap_or_default())
    }
}

/// Nobody else has the lock until the file is closed, also by the end of this process.
fn take_lock(path: &Path) -> std::io::Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

/// What to do about a pull that failed.
fn advice(error: &Error) -> String {
    let said = fault::said(error);
    let help = if said.contains("unauthorized") || said.contains("denied") {
        "Sign in with `docker login`, or correct the name"
    } else if said.contains("not found") || said.contains("manifest unknown") {
        "Correct the name or the tag"
    } else {
        "Check that this machine reaches the registry, or load the image with `docker load`"
    };
    format!("{said}. {help}")
}

/// Whether the registry itself has answered, and not the way to it.
fn is_answer(said: &str) -> bool {
    const ON_THE_WAY: [&str; 7] =
        ["dial tcp", "no such host", "timeout", "connection", "tls", "toomanyrequests", "eof"];
    const ANSWERS: [&str; 5] =
        ["unauthorized", "denied", "not found", "manifest unknown", "no basic auth"];
    let said = said.to_lowercase();
    let has_any = |words: &[&str]| words.iter().any(|it| said.contains(it));
    has_any(&ANSWERS) && !has_any(&ON_THE_WAY)
}

impl ImageFacts {
    /// Fails for an image whose steps could not run.
    pub(super) fn require_shell(&self, image: &str) -> Result<(), ExecutorError> {
        if self.contents.has_shell {
            return Ok(());
        }
        Err(ExecutorError::Rejected(format!(
            "image `{image}` has no `/bin/sh`, which runs the steps. Use `command:` to run a program of \
             the image without a shell, or an image with one"
        )))
    }

    /// Numeric user and group of a process, as Docker would resolve them.
    pub(super) fn user(
        &self,
        image: &str,
        user: Option<&str>,
    ) -> Result<(u32, u32), ExecutorError> {
        let wanted = user.unwrap_or(&self.config_user);
        if wanted.is_empty() {
            return Ok((0, 0));
        }
        let (user, group) = match wanted.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (wanted, None),
        };
        let unknown = |what: &str, name: &str, file: &str| {
            ExecutorError::Rejected(format!(
                "image `{image}` has no {what} `{name}` in its `{file}`. Use a number (`user: \"1000:1000\"`) \
                 or a name that is there"
            ))
        };
        let account = account(&self.contents.passwd, user);
        let uid = account.map(|(uid, _)| uid).or_else(|| user.parse().ok());
        let uid = uid.ok_or_else(|| unknown("user", user, "/etc/passwd"))?;
        let gid = match group {
            None => account.map_or(0, |(_, gid)| gid),
            Some(group) => group_id(&self.contents.group, group)
                .or_else(|| group.parse().ok())
                .ok_or_else(|| unknown("group", group, "/etc/group"))?,
        };
        Ok((uid, gid))
    }
}

/// User and group of a line in `/etc/passwd`, found by name or number.
fn account(passwd: &str, user: &str) -> Option<(u32, u32)> {
    let rows = || passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let ids = |row: &[&str]| Some((row.get(2)?.parse().ok()?, row.get(3)?.parse().ok()?));
    rows().find(|row| row.first() == Some(&user)).and_then(|row| ids(&row)).or_else(|| {
        let uid: u32 = user.parse().ok()?;
        rows().filter_map(|row| ids(&row)).find(|(found, _)| *found == uid)
    })
}

fn group_id(groups: &str, group: &str) -> Option<u32> {
    let mut rows = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    rows.find(|row| row.first() == Some(&group))?.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests;
