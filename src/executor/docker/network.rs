//! What an attempt may reach. A network of its own is made only when the default ones do not do.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{
    EndpointSettings, IpamConfig, NetworkCreateRequest, NetworkInspect, NetworkingConfig,
};

use crate::executor::docker::names::Names;
use crate::executor::docker::{DockerExecutor, fault};
use crate::executor::{DOOR_NAME, ExecutorError, NetworkSpec, PrepareSpec};

/// Whether the attempt needs a network of its own: services are found by name only on such a one.
pub(super) fn is_needed(spec: &PrepareSpec) -> bool {
    !spec.services.is_empty() || spec.network == NetworkSpec::Gateway
}

/// The network mode of the attempt's containers.
pub(super) fn mode(spec: &PrepareSpec, names: &Names) -> String {
    if is_needed(spec) {
        return names.network(&spec.name.slug());
    }
    match spec.network {
        NetworkSpec::Full => "bridge".to_owned(),
        NetworkSpec::Gateway | NetworkSpec::None => "none".to_owned(),
    }
}

/// Puts a service on the attempt's network under its name.
pub(super) fn alias(network: &str, name: &str) -> NetworkingConfig {
    let endpoint =
        EndpointSettings { aliases: Some(vec![name.to_owned()]), ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), endpoint)])) }
}

/// The entry of `/etc/hosts` by which a container finds this machine.
pub(super) fn hosts(engine: Option<IpAddr>) -> Option<Vec<String>> {
    Some(vec![format!("{DOOR_NAME}:{}", engine?)])
}

/// The address that this machine has on a network: the one that Docker tells, or the first of its subnet,
/// which it then is.
fn address_of_engine(network: &NetworkInspect) -> Option<IpAddr> {
    let configs = network.ipam.as_ref()?.config.as_ref()?;
    let told = |it: &IpamConfig| it.gateway.as_ref()?.parse::<Ipv4Addr>().ok();
    let first = |it: &IpamConfig| {
        let (subnet, _) = it.subnet.as_ref()?.split_once('/')?;
        let subnet = u32::from(subnet.parse::<Ipv4Addr>().ok()?);
        Some(Ipv4Addr::from(subnet.checked_add(1)?))
    };
    let told = configs.iter().find_map(told);
    told.or_else(|| configs.iter().find_map(first)).map(IpAddr::V4)
}

impl DockerExecutor {
    /// Opens the engine's gateway to the attempt's network, and gives the address that this machine has
    /// there; nothing for an attempt that is not to reach it.
    pub(super) async fn open_door(
        &self,
        spec: &PrepareSpec,
    ) -> Result<Option<IpAddr>, ExecutorError> {
        let Some(door) = spec.door.as_ref().filter(|_| spec.network != NetworkSpec::None) else {
            return Ok(None);
        };
        let network = mode(spec, self.names());
        let found = fault::retry(|| self.docker().inspect_network(&network, None)).await;
        let found =
            found.map_err(|it| fault::infra(format!("inspecting network `{network}`"), &it))?;
        let operation = || format!("letting network `{network}` reach the LLM gateway");
        let address = address_of_engine(&found).ok_or_else(|| ExecutorError::Infra {
            operation: operation(),
            reason: "Docker tells no address of this machine on it".to_owned(),
        })?;
        door.open(address).await.map_err(|error| ExecutorError::Infra {
            operation: operation(),
            reason: format!(
                "`{address}` cannot be listened on: {error}\n\
                 help: where Docker's networks are not this machine's own, set `stages.host` in the gateway's file"
            ),
        })?;
        Ok(Some(address))
    }

    /// Creates the attempt's network, or finds it.
    pub(super) async fn find_or_create_network(
        &self,
        spec: &PrepareSpec,
    ) -> Result<(), ExecutorError> {
        let name = self.names().network(&spec.name.slug());
        // Names of networks need not be unique to Docker, so a second one would be made beside the first.
        match fault::retry(|| self.docker().inspect_network(&name, None)).await {
            Ok(_) => return Ok(()),
            Err(error) if fault::is_not_found(&error) => {}
            Err(error) => return Err(fault::infra(format!("inspecting network `{name}`"), &error)),
        }
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(spec.network != NetworkSpec::Full),
            labels: Some(self.labels(spec)),
            ..NetworkCreateRequest::default()
        };
        match self.docker().create_network(request).await {
            Ok(_) => Ok(()),
            Err(error) if fault::is_conflict(&error) => Ok(()),
            Err(error) => Err(fault::infra(format!("creating network `{name}`"), &error)),
        }
    }

    /// Removes a network; no error if it is gone.
    pub(super) async fn remove_network(&self, name: &str) -> Result<(), ExecutorError> {
        match fault::retry(|| self.docker().remove_network(name)).await {
            Ok(()) => Ok(()),
            Err(error) if fault::is_not_found(&error) => Ok(()),
            Err(error) => Err(fault::infra(format!("removing network `{name}`"), &error)),
        }
    }
}
