//! Makes everything an attempt needs, up to a started container that waits.

use std::path::PathBuf;

use bollard::models::ContainerCreateBody;

use crate::executor::archive::{self, Target};
use crate::executor::control::{self, AttemptFolder};
use crate::executor::docker::container::{Condition, Origin, Shape};
use crate::executor::docker::image::ImageFacts;
use crate::executor::docker::{DockerExecutor, network};
use crate::executor::layout::{self, Layout, Program, Segment, Workspace};
use crate::executor::overlay::Layers;
use crate::executor::{AttemptState, ExecutorError, PrepareSpec, ProgramSpec, folder};

impl DockerExecutor {
    pub(super) async fn prepare_attempt(
        &self,
        spec: &PrepareSpec,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        let folder = self.folder(&spec.name);
        if spec.program == ProgramSpec::Nothing {
            return self.prepare_workspace(spec, &folder).await;
        }
        if self.is_under_way(&folder, spec).await? {
            return Ok(());
        }
        let facts = self.image_facts(&spec.image, spec.pull, progress).await?;
        let segments = layout::segments(spec);
        self.check_images(spec, (&facts, &segments), progress).await?;
        let user = facts.user(&spec.image, spec.user.as_deref())?;
        folder.create(u32::try_from(segments.len()).unwrap_or(u32::MAX).max(1))?;
        let layers = self.create_layers(spec, &folder, user)?;
        if network::is_needed(spec) {
            self.find_or_create_network(spec).await?;
        }
        let way = self.open_way(spec).await?;
        let shape = Shape {
            spec,
            folder: &folder,
            names: self.names(),
            workspace: if layers.is_some() { Workspace::Overlay } else { Workspace::Volume },
            layers: layers.as_ref(),
            default_pids: self.inner.settings.default_pids,
            way,
        };
        let layout = self.describe(&shape, segments, user)?;
        self.start_services(&shape, progress).await?;
        self.create_containers(&shape, &layout).await?;
        // Last: who finds it finds an attempt that is prepared.
        folder.write_layout(&layout)
    }

    /// A workspace that no container will see.
    async fn prepare_workspace(
        &self,
        spec: &PrepareSpec,
        folder: &AttemptFolder,
    ) -> Result<(), ExecutorError> {
        folder.create(0)?;
        let workspace = folder::Workspace::of(folder, self.inner.overlay_folder.as_deref());
        workspace.prepare(&spec.workspace).await?;
        let layout = Layout {
            nonce: String::new(),
            instance: spec.label.instance.clone(),
            stage: spec.label.stage.clone(),
            program: Program::Nothing,
            user: (0, 0),
            workspace: Workspace::Folder,
            services: Vec::new(),
            lasting: Vec::new(),
            has_network: false,
            boot: self.inner.boot.clone(),
        };
        folder.write_layout(&layout)
    }

    /// The images of steps must be here and have a shell before anything is made.
    async fn check_images(
        &self,
        spec: &PrepareSpec,
        (facts, segments): (&ImageFacts, &[Segment]),
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), ExecutorError> {
        for segment in segments {
            if segment.image == spec.image {
                facts.require_shell(&spec.image)?;
            } else {
                let own = self.image_facts(&segment.image, spec.pull, progress).await?;
                own.require_shell(&segment.image)?;
            }
        }
        Ok(())
    }

    fn create_layers(
        &self,
        spec: &PrepareSpec,
        folder: &AttemptFolder,
        user: (u32, u32),
    ) -> Result<Option<Layers>, ExecutorError> {
        let Some(layers) = self.layers(folder) else {
            return Ok(None);
        };
        let empty = folder.path().join("empty");
        let lower = match &spec.workspace.checkout {
            Some(checkout) => std::path::absolute(checkout),
            None => std::fs::create_dir_all(&empty).map(|()| empty),
        };
        lower
            .and_then(|lower| layers.create(&lower, Some(user)))
            .map_err(|error| control::failed("making layers in", folder.path(), &error))?;
        Ok(Some(layers))
    }

    /// The layers of an attempt's overlay, if overlays are possible here.
    pub(super) fn layers(&self, folder: &AttemptFolder) -> Option<Layers> {
        let state_folder = self.inner.overlay_folder.as_deref()?;
        Some(Layers::new(control::attempts_folder(state_folder).join(folder.slug())))
    }

    fn describe(
        &self,
        shape: &Shape<'_>,
        segments: Vec<Segment>,
        user: (u32, u32),
    ) -> Result<Layout, ExecutorError> {
        let spec = shape.spec;
        let program = if spec.program == ProgramSpec::Command {
            let text = serde_json::to_string(&shape.command(&spec.image));
            Program::Command(text.map_err(|error| ExecutorError::Infra {
                operation: "writing down the container's configuration".to_owned(),
                reason: error.to_string(),
            })?)
        } else {
            Program::Steps(segments)
        };
        let former = shape.folder.read_layout()?;
        let lasting = spec.services.iter().filter(|it| it.ready.is_some());
        Ok(Layout {
            nonce: former.map_or_else(layout::new_nonce, |it| it.nonce),
            instance: spec.label.instance.clone(),
            stage: spec.label.stage.clone(),
            program,
            user,
            workspace: shape.workspace,
            services: spec.services.iter().map(|it| it.name.clone()).collect(),
            lasting: lasting.map(|it| it.name.clone()).collect(),
            has_network: network::is_needed(spec),
            boot: self.inner.boot.clone(),
        })
    }

    async fn create_containers(
        &self,
        shape: &Shape<'_>,
        layout: &Layout,
    ) -> Result<(), ExecutorError> {
        let slug = shape.folder.slug();
        let Program::Steps(segments) = &layout.program else {
            let holder = shape.names.holder(slug);
            self.find_or_create(&holder, &shape.holder(&shape.spec.image)).await?;
            return self.fill(shape, &holder, layout.user).await;
        };
        for (index, segment) in (0_u32..).zip(segments) {
            let name = shape.names.container(slug, index);
            // Steps of other images share the files, so they run as the same user.
            let user = if segment.image == shape.spec.image {
                shape.spec.user.clone()
            } else {
                Some(format!("{}:{}", layout.user.0, layout.user.1))
            };
            let config = shape.steps(index, &segment.image, user);
            if index == 0 && shape.workspace == Workspace::Volume {
                self.find_or_create(&name, &config).await?;
                self.fill(shape, &name, layout.user).await?;
            }
            self.find_or_start_waiting(&name, &config).await?;
        }
        Ok(())
    }

    /// Makes a container and starts it so that it waits. One that ended while it waited (the daemon was
    /// restarted) has done nothing: away with it.
    async fn find_or_start_waiting(
        &self,
        name: &str,
        config: &ContainerCreateBody,
    ) -> Result<(), ExecutorError> {
        if self.find_or_create(name, config).await? == Origin::Created {
            return self.start_created(name).await;
        }
        match self.condition(name).await? {
            Condition::Running => Ok(()),
            Condition::Created => self.start_created(name).await,
            Condition::Ended(_) | Condition::Missing => {
                self.remove_container(name).await?;
                self.find_or_create(name, config).await?;
                self.start_created(name).await
            }
        }
    }

    /// Whether the attempt has begun and goes on, or all of it waits; fails if it has begun and is lost.
    async fn is_under_way(
        &self,
        folder: &AttemptFolder,
        spec: &PrepareSpec,
    ) -> Result<bool, ExecutorError> {
        if !folder.is_begun(0) {
            return self.is_waiting(folder).await;
        }
        if self.attempt_state(&spec.name).await? == AttemptState::Lost {
            return Err(ExecutorError::Gone(spec.name.slug()));
        }
        Ok(true)
    }

    /// Whether the attempt was prepared, to its end, and its one container waits. With several of them
    /// each is looked at.
    async fn is_waiting(&self, folder: &AttemptFolder) -> Result<bool, ExecutorError> {
        let Some(layout) = folder.read_layout()? else { return Ok(false) };
        let is_plain = matches!(layout.program, Program::Steps(_))
            && layout.segment_count() == 1
            && layout.services.is_empty()
            && layout.boot == self.inner.boot;
        let container = self.names().container(folder.slug(), 0);
        Ok(is_plain && self.condition(&container).await? == Condition::Running)
    }

    /// Copies the checkout into a workspace that is no overlay.
    async fn fill(
        &self,
        shape: &Shape<'_>,
        container: &str,
        user: (u32, u32),
    ) -> Result<(), ExecutorError> {
        let marker = shape.folder.path().join("filled");
        if shape.workspace == Workspace::Overlay || marker.exists() {
            return Ok(());
        }
        let root = archive::empty_folder(user);
        self.put_archive(container, "/workspace", root).await?;
        if let Some(checkout) = &shape.spec.workspace.checkout {
            let everything = archive::Pattern::parse(".")?;
            let tar = archive::pack_folder(checkout.clone(), everything)
                .await
                .map_err(|error| control::failed("reading", checkout, &error))?;
            if let Some(tar) = tar {
                let target = Target { directory: PathBuf::new(), owner: user, closes_links: false };
                let owned = archive::moved_to(tar, target);
                self.put_archive(container, "/workspace", owned).await?;
            }
        }
        std::fs::write(&marker, "").map_err(|error| control::failed("writing", &marker, &error))
    }
}
