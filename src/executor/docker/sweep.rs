//! Removing all of an attempt, and finding what is left of any.

use std::collections::BTreeMap;

use bollard::query_parameters::{
    ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveVolumeOptions,
};

use crate::executor::control::{self, AttemptFolder};
use crate::executor::docker::{DockerExecutor, fault, names};
use crate::executor::{ExecutorError, Found, folder};
use crate::model::AttemptName;

impl DockerExecutor {
    pub(super) async fn remove_attempt(&self, name: &AttemptName) -> Result<(), ExecutorError> {
        let attempt = self.folder(name);
        let slug = attempt.slug();
        let mut containers = expected_containers(&attempt, self.names())?;
        if containers.is_empty() {
            let instance = &self.inner.settings.instance;
            containers = self.labelled_containers(&names::of_attempt(instance, slug)).await?;
        }
        let removals = containers.iter().map(|it| self.remove_container(it));
        futures_util::future::try_join_all(removals).await?;
        self.remove_volume(&self.names().volume(slug)).await?;
        let has_network = attempt.read_layout()?.is_none_or(|it| it.has_network);
        if has_network {
            self.remove_network(&self.names().network(slug)).await?;
        }
        folder::Workspace::of(&attempt, self.inner.overlay_folder.as_deref()).unmount()?;
        self.inner.pokes.forget(&attempt);
        let work = tokio::task::spawn_blocking(move || attempt.remove());
        work.await.map_err(|error| ExecutorError::Infra {
            operation: format!("removing the files of attempt {}", name.slug()),
            reason: error.to_string(),
        })?
    }

    async fn remove_volume(&self, name: &str) -> Result<(), ExecutorError> {
        let remove = || self.docker().remove_volume(name, None::<RemoveVolumeOptions>);
        match fault::retry(remove).await {
            Ok(()) => Ok(()),
            Err(error) if fault::is_not_found(&error) => Ok(()),
            Err(error) => Err(fault::infra(format!("removing volume `{name}`"), &error)),
        }
    }

    async fn labelled_containers(
        &self,
        filters: &names::Filters,
    ) -> Result<Vec<String>, ExecutorError> {
        let found = self.containers(filters).await?;
        Ok(found.into_iter().filter_map(|it| it.id).collect())
    }

    pub(super) async fn containers(
        &self,
        filters: &names::Filters,
    ) -> Result<Vec<bollard::models::ContainerSummary>, ExecutorError> {
        let list = || {
            let options = ListContainersOptions {
                all: true,
                filters: Some(filters.clone()),
                ..ListContainersOptions::default()
            };
            self.docker().list_containers(Some(options))
        };
        fault::retry(list).await.map_err(|error| fault::infra("listing containers", &error))
    }

    pub(super) async fn list_attempts(&self, instance: &str) -> Result<Vec<Found>, ExecutorError> {
        let filters = names::filter(names::INSTANCE, instance);
        let mut found: BTreeMap<String, bool> = BTreeMap::new();
        for container in self.containers(&filters).await? {
            let is_running =
                container.state == Some(bollard::models::ContainerSummaryStateEnum::RUNNING);
            let slug = container.labels.and_then(|mut it| it.remove(names::ATTEMPT));
            if let Some(slug) = slug {
                *found.entry(slug).or_default() |= is_running;
            }
        }
        for slug in self.volumes(&filters).await? {
            found.entry(slug).or_default();
        }
        for slug in self.networks(&filters).await? {
            found.entry(slug).or_default();
        }
        for slug in self.folders(instance) {
            found.entry(slug).or_default();
        }
        let read = |(slug, is_running): (String, bool)| {
            AttemptName::parse_slug(&slug).map(|name| Found { name, is_running })
        };
        Ok(found.into_iter().filter_map(read).collect())
    }

    async fn volumes(&self, filters: &names::Filters) -> Result<Vec<String>, ExecutorError> {
        let volumes = self.volumes_with(filters).await?;
        Ok(volumes.into_iter().filter_map(|mut it| it.labels.remove(names::ATTEMPT)).collect())
    }

    pub(super) async fn volumes_with(
        &self,
        filters: &names::Filters,
    ) -> Result<Vec<bollard::models::Volume>, ExecutorError> {
        let list = || {
            let options = ListVolumesOptions { filters: Some(filters.clone()) };
            self.docker().list_volumes(Some(options))
        };
        let found =
            fault::retry(list).await.map_err(|error| fault::infra("listing volumes", &error))?;
        Ok(found.volumes.unwrap_or_default())
    }

    async fn networks(&self, filters: &names::Filters) -> Result<Vec<String>, ExecutorError> {
        let list = || {
            let options = ListNetworksOptions { filters: Some(filters.clone()) };
            self.docker().list_networks(Some(options))
        };
        let found =
            fault::retry(list).await.map_err(|error| fault::infra("listing networks", &error))?;
        let label = |it: bollard::models::Network| it.labels?.remove(names::ATTEMPT);
        Ok(found.into_iter().filter_map(label).collect())
    }

    /// Attempts of which a folder is left. One that was prepared half says nothing about its instance;
    /// the state folder belongs to one alone.
    fn folders(&self, instance: &str) -> Vec<String> {
        control::slugs(&self.inner.settings.state_folder)
            .into_iter()
            .filter(|slug| {
                let name = AttemptName::parse_slug(slug);
                let layout = name.and_then(|it| self.folder(&it).read_layout().ok().flatten());
                layout.is_none_or(|it| it.instance == instance)
            })
            .collect()
    }
}

/// Names of the attempt's containers as it was prepared; none if it was prepared half.
fn expected_containers(
    attempt: &AttemptFolder,
    names: &names::Names,
) -> Result<Vec<String>, ExecutorError> {
    let Some(layout) = attempt.read_layout()? else {
        return Ok(Vec::new());
    };
    let slug = attempt.slug();
    let mut containers: Vec<String> =
        (0..layout.segment_count()).map(|it| names.container(slug, it)).collect();
    if matches!(layout.program, crate::executor::layout::Program::Command(_)) {
        containers.push(names.holder(slug));
    }
    if layout.has_network {
        containers.push(names.relay(slug));
    }
    containers.extend(layout.services.iter().map(|it| names.service(slug, it)));
    Ok(containers)
}
