//! What outlives its attempt: images that were built, containers that looked into images, and everything
//! whose state folder is no more.

use std::collections::HashMap;
use std::path::Path;

use bollard::query_parameters::{
    ListImagesOptions, ListNetworksOptions, RemoveImageOptions, RemoveVolumeOptions,
};

use crate::executor::ExecutorError;
use crate::executor::docker::{DockerExecutor, fault, names};
use crate::model::{AttemptName, Timestamp};

impl DockerExecutor {
    pub(super) async fn images_of(
        &self,
        instance: &str,
    ) -> Result<Vec<AttemptName>, ExecutorError> {
        let label = format!("{}={instance}", names::IMAGE_INSTANCE);
        let found = self.images_with(&label).await?;
        Ok(found.into_iter().map(|(name, _)| name).collect())
    }

    /// Attempts whose images are still here by the name that we gave them, and those images' labels.
    async fn images_with(
        &self,
        label: &str,
    ) -> Result<Vec<(AttemptName, HashMap<String, String>)>, ExecutorError> {
        let list = || {
            let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
            let options = ListImagesOptions { filters: Some(filters), ..Default::default() };
            self.docker().list_images(Some(options))
        };
        let images =
            fault::retry(list).await.map_err(|error| fault::infra("listing images", &error))?;
        let found = images.into_iter().flat_map(|image| {
            let labels = image.labels;
            let slugs = image.repo_tags.into_iter();
            slugs.filter_map(move |tag| {
                let slug = tag.strip_prefix(names::BUILT)?.strip_prefix(':')?;
                Some((AttemptName::parse_slug(slug)?, labels.clone()))
            })
        });
        Ok(found.collect())
    }

    /// Takes our name off an image; without another one it goes, unless a container was made of it.
    pub(super) async fn remove_built(&self, name: &AttemptName) -> Result<bool, ExecutorError> {
        let reference = names::built(&name.slug());
        let remove = || {
            let options = RemoveImageOptions::default();
            self.docker().remove_image(&reference, Some(options), None)
        };
        match fault::retry(remove).await {
            Ok(_) => Ok(true),
            Err(error) if fault::is_not_found(&error) || fault::is_conflict(&error) => Ok(false),
            Err(error) => Err(fault::infra(format!("removing image `{reference}`"), &error)),
        }
    }

    /// Removes containers that looked into images for a process that was killed meanwhile: nobody holds
    /// the lock of the image.
    pub(super) async fn remove_probes(&self) -> Result<(), ExecutorError> {
        let state_folder = self.inner.settings.state_folder.display().to_string();
        for probe in self.containers(&names::filter(names::PROBE, &state_folder)).await? {
            let (Some(id), Some(image)) = (probe.id, probe.image_id) else { continue };
            if let Some(_lock) = self.try_lock_image(&image) {
                self.remove_container(&id).await?;
            }
        }
        Ok(())
    }

    /// Removes what was made for state folders that are no more, before this moment, and does not run.
    /// Nobody else will: an installation only knows its own. Gives how many things went.
    pub async fn remove_orphans(&self, before: Timestamp) -> Result<usize, ExecutorError> {
        let mut removed = 0;
        let ours = names::any(names::STATE);
        for container in self.containers(&ours).await? {
            let is_running =
                container.state == Some(bollard::models::ContainerSummaryStateEnum::RUNNING);
            let is_old = container.created.is_some_and(|it| it.saturating_mul(1000) < before.0);
            let labels = container.labels.unwrap_or_default();
            if let Some(id) = container.id
                && !is_running
                && is_old
                && is_orphan(&labels)
            {
                self.remove_container(&id).await?;
                removed += 1;
            }
        }
        for volume in self.volumes_with(&ours).await? {
            if is_orphan(&volume.labels) && is_older(volume.created_at.as_deref(), before) {
                removed += usize::from(self.remove_unused_volume(&volume.name).await?);
            }
        }
        removed += self.remove_orphaned_networks(before).await?;
        for (name, labels) in self.images_with(names::IMAGE_STATE).await? {
            if is_orphan_of(&labels, names::IMAGE_STATE) && self.remove_built(&name).await? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn remove_orphaned_networks(&self, before: Timestamp) -> Result<usize, ExecutorError> {
        let list = || {
            let filters = Some(names::any(names::STATE));
            self.docker().list_networks(Some(ListNetworksOptions { filters }))
        };
        let found =
            fault::retry(list).await.map_err(|error| fault::infra("listing networks", &error))?;
        let mut removed = 0;
        for network in found {
            let (Some(name), Some(labels)) = (network.name, network.labels) else { continue };
            if is_orphan(&labels) && is_older(network.created.as_deref(), before) {
                // One that is in use stays.
                removed += usize::from(self.docker().remove_network(&name).await.is_ok());
            }
        }
        Ok(removed)
    }

    async fn remove_unused_volume(&self, name: &str) -> Result<bool, ExecutorError> {
        match self.docker().remove_volume(name, None::<RemoveVolumeOptions>).await {
            Ok(()) => Ok(true),
            Err(error) if fault::is_not_found(&error) || fault::is_conflict(&error) => Ok(false),
            Err(error) => Err(fault::infra(format!("removing volume `{name}`"), &error)),
        }
    }
}

fn is_orphan(labels: &HashMap<String, String>) -> bool {
    is_orphan_of(labels, names::STATE)
}

/// Whether the state folder is certainly gone, and not merely out of sight.
fn is_orphan_of(labels: &HashMap<String, String>, label: &str) -> bool {
    labels.get(label).is_some_and(|it| matches!(Path::new(it).try_exists(), Ok(false)))
}

fn is_older(created: Option<&str>, before: Timestamp) -> bool {
    let created = created.and_then(|it| chrono::DateTime::parse_from_rfc3339(it).ok());
    created.is_some_and(|it| it.timestamp_millis() < before.0)
}
