//! Builds an image from a folder of a workspace, with the daemon's own builder.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use bollard::models::BuildInfo;
use bollard::query_parameters::{BuildImageOptions, PushImageOptions, TagImageOptions};
use futures_util::TryStreamExt as _;
use tar::Builder;
use tokio_util::io::ReaderStream;

use super::registry;
use crate::executor::archive::{self, IgnoreFile};
use crate::executor::docker::{DockerExecutor, fault, names};
use crate::executor::{BuildSpec, BuiltImage, ExecutorError, TarStream, control, folder};

/// Lines of a failed build that are repeated in its error.
const SHOWN_LINES: usize = 20;

impl DockerExecutor {
    pub(in crate::executor::docker) async fn build_image(
        &self,
        spec: &BuildSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<BuiltImage, ExecutorError> {
        let (attempt, layout) = self.prepared(&spec.name)?;
        let workspace = folder::Workspace::of(&attempt, self.inner.overlay_folder.as_deref());
        workspace.ensure_mounted()?;
        let below = archive::Pattern::parse(&spec.context)?;
        let context = workspace.path().join(below.prefix());
        check_context(spec, &context)?;
        let reference = names::built(&spec.name.slug());
        let tar = pack_context(context, spec.dockerfile.clone())?;
        self.run_build((spec, &layout.instance), (&reference, tar), progress).await?;
        for tag in &spec.tags {
            self.tag(&reference, tag).await?;
        }
        let id = self.local_image_id(&reference).await?.unwrap_or_default();
        let mut digest = id;
        if spec.push {
            for tag in &spec.tags {
                digest = self.push(tag, progress).await?.unwrap_or(digest);
            }
        }
        Ok(BuiltImage { digest, reference })
    }

    async fn run_build(
        &self,
        (spec, instance): (&BuildSpec, &str),
        (reference, tar): (&str, TarStream),
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        let state_folder = self.inner.settings.state_folder.display().to_string();
        let labels = HashMap::from([
            (names::IMAGE_INSTANCE.to_owned(), instance.to_owned()),
            (names::IMAGE_STATE.to_owned(), state_folder),
        ]);
        let options = BuildImageOptions {
            dockerfile: spec.dockerfile.clone(),
            t: Some(reference.to_owned()),
            buildargs: Some(spec.args.iter().cloned().collect()),
            target: spec.target.clone().unwrap_or_default(),
            labels: Some(labels),
            rm: true,
            forcerm: true,
            ..BuildImageOptions::default()
        };
        let body = bollard::body_try_stream(ReaderStream::with_capacity(tar, 64 * 1024));
        let mut messages = self.docker().build_image(options, None, Some(body));
        let mut last_lines: Vec<String> = Vec::new();
        loop {
            let message: BuildInfo = match messages.try_next().await {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(error) => return Err(build_failed(&error, &last_lines)),
            };
            for line in
                message.stream.unwrap_or_default().lines().filter(|it| !it.trim().is_empty())
            {
                progress(line.to_owned());
                last_lines.push(line.to_owned());
                let surplus = last_lines.len().saturating_sub(SHOWN_LINES);
                last_lines.drain(..surplus);
            }
        }
    }

    async fn tag(&self, reference: &str, tag: &str) -> Result<(), ExecutorError> {
        let (repository, version) = registry::split_tag(tag);
        let options = TagImageOptions {
            repo: Some(repository.to_owned()),
            tag: Some(version.unwrap_or("latest").to_owned()),
        };
        self.docker().tag_image(reference, Some(options)).await.map_err(|error| {
            if fault::status(&error) == Some(400) {
                let said = fault::message(&error);
                return ExecutorError::Rejected(format!(
                    "`{tag}` is not a valid image name: {said}"
                ));
            }
            fault::infra(format!("tagging the image as `{tag}`"), &error)
        })
    }

    /// Pushes one tag; the registry's digest, if the daemon says it.
    async fn push(
        &self,
        tag: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<Option<String>, ExecutorError> {
        progress(format!("pushing {tag}"));
        let (repository, version) = registry::split_tag(tag);
        let options = PushImageOptions {
            tag: Some(version.unwrap_or("latest").to_owned()),
            ..PushImageOptions::default()
        };
        let credentials = registry::credentials(&self.inner.settings, tag);
        let mut lines = self.docker().push_image(repository, Some(options), credentials);
        let failed = |error| fault::infra(format!("pushing image `{tag}`"), &error);
        while let Some(line) = lines.try_next().await.map_err(failed)? {
            let is_step = line.progress_detail.is_none_or(|it| it.total.is_none());
            if let Some(status) = line.status.filter(|it| is_step && !it.is_empty()) {
                progress(status);
            }
        }
        let found = self.docker().inspect_image(tag).await.map_err(failed)?;
        let prefix = format!("{repository}@");
        let digests = found.repo_digests.unwrap_or_default();
        Ok(digests.iter().find_map(|it| it.strip_prefix(&prefix)).map(str::to_owned))
    }
}

fn check_context(spec: &BuildSpec, context: &Path) -> Result<(), ExecutorError> {
    if !context.is_dir() {
        return Err(ExecutorError::Rejected(format!(
            "the build context `{}` is not a folder of the workspace",
            spec.context
        )));
    }
    let dockerfile = archive::Pattern::parse(&spec.dockerfile)?;
    if !context.join(dockerfile.prefix()).is_file() {
        return Err(ExecutorError::Rejected(format!(
            "there is no `{}` in the build context `{}`",
            spec.dockerfile, spec.context
        )));
    }
    Ok(())
}

/// The context as an archive, without what its `.dockerignore` names.
fn pack_context(context: PathBuf, dockerfile: String) -> Result<TarStream, ExecutorError> {
    let path = context.join(".dockerignore");
    let ignored = match std::fs::read_to_string(&path) {
        Ok(text) => IgnoreFile::parse(&text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => IgnoreFile::default(),
        Err(error) => return Err(control::failed("reading", &path, &error)),
    };
    let needed = [PathBuf::from(dockerfile), PathBuf::from(".dockerignore")];
    Ok(archive::start(move |writer, _| {
        let mut out = Builder::new(writer);
        archive::walk(&context, Path::new(""), &mut |file| {
            let is_root = file.path.as_os_str().is_empty();
            let kind = file.metadata.file_type();
            let is_special = !(kind.is_file() || kind.is_dir() || kind.is_symlink());
            if is_root
                || is_special
                || (ignored.ignores(file.path) && !needed.iter().any(|it| it == file.path))
            {
                return Ok(());
            }
            archive::append_file(&mut out, &context, &file)
        })?;
        out.finish()
    }))
}

/// A build fails for reasons of the Dockerfile, told by the daemon in the stream of messages; all else
/// is the machine's.
fn build_failed(error: &bollard::errors::Error, last_lines: &[String]) -> ExecutorError {
    use bollard::errors::Error;
    let said = if let Error::DockerStreamError { error } = error {
        error
    } else if matches!(fault::status(error), Some(400 | 500)) {
        fault::message(error)
    } else {
        return fault::infra("building the image", error);
    };
    let log = last_lines.join("\n");
    ExecutorError::Rejected(format!("the image was not built: {}. Last lines:\n{log}", said.trim()))
}
