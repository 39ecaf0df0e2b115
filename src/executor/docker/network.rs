//! What an attempt may reach. A network of its own is made only when the default ones do not do.

pub(super) mod relay;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bollard::models::{
    EndpointSettings, IpamConfig, NetworkCreateRequest, NetworkInspect, NetworkingConfig,
};

use crate::executor::docker::names::Names;
use crate::executor::docker::{DockerExecutor, fault};
use crate::executor::{DOOR_NAME, ExecutorError, GatewaySpec, NetworkSpec, PrepareSpec};
use relay::Duty;

/// Docker's default network.
const DEFAULT: &str = "bridge";
/// The bridge has no address of this machine: nothing that listens here is reached over it.
const WITHOUT_ADDRESS: &str = "com.docker.network.bridge.inhibit_ipv4";
/// Nobody has this address (RFC 5737): names of the attempt's own network are found all the same, and others lead
/// no question out.
const NO_NAMES: &str = "192.0.2.1";

/// How an attempt reaches the gateway.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Way {
    /// The address that this machine has on the attempt's network, where it has one.
    pub(super) engine: Option<IpAddr>,
    /// What its relay does, where it has one.
    pub(super) relay: Option<Duty>,
}

/// Whether the attempt needs a network of its own: services are found by name only on such a one.
pub(super) fn is_needed(spec: &PrepareSpec) -> bool {
    !spec.services.is_empty() || leads_to_gateway(spec)
}

/// Whether the gateway, and nothing else, may be reached.
fn leads_to_gateway(spec: &PrepareSpec) -> bool {
    let has_gateway = !matches!(spec.gateway, GatewaySpec::Missing);
    spec.network == NetworkSpec::Gateway && has_gateway
}

/// The network mode of the attempt's containers.
pub(super) fn mode(spec: &PrepareSpec, names: &Names) -> String {
    if is_needed(spec) {
        return names.network(&spec.name.slug());
    }
    match spec.network {
        NetworkSpec::Full => DEFAULT.to_owned(),
        NetworkSpec::Gateway | NetworkSpec::None => "none".to_owned(),
    }
}

/// Whether a relay is all that leads out of the attempt's network, or asks its services.
fn has_relay(spec: &PrepareSpec) -> bool {
    let is_shut = is_needed(spec) && spec.network != NetworkSpec::Full;
    let is_opened = matches!(spec.gateway, GatewaySpec::Opened(_)) && leads_to_gateway(spec);
    relay::is_here() && is_shut && (is_opened || relay::has_probes(spec))
}

/// Whether this machine has no address on the attempt's network. Where stages reach the gateway by a name that
/// somebody has set, it must have one.
fn is_without_address(spec: &PrepareSpec) -> bool {
    if spec.network == NetworkSpec::Full {
        return false;
    }
    let is_asked = relay::has_probes(spec) && !relay::is_here();
    has_relay(spec) || (!leads_to_gateway(spec) && !is_asked)
}

/// Whom the attempt's containers ask for names, where that is not the daemon's affair.
pub(super) fn names(spec: &PrepareSpec) -> Option<Vec<String>> {
    let is_shut = is_needed(spec) && spec.network != NetworkSpec::Full;
    is_shut.then(|| vec![NO_NAMES.to_owned()])
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
    /// Opens the engine's gateway to the attempt, if it is to reach it, and starts its relay, if it has one.
    pub(super) async fn open_way(&self, spec: &PrepareSpec) -> Result<Way, ExecutorError> {
        let has_relay = has_relay(spec);
        let door = match &spec.gateway {
            GatewaySpec::Opened(door) if spec.network != NetworkSpec::None => door,
            GatewaySpec::Opened(_) | GatewaySpec::Missing | GatewaySpec::Named => {
                let relay = has_relay.then_some(Duty::Hold);
                return self.begin_way(spec, Way { engine: None, relay }).await;
            }
        };
        let network = if has_relay { DEFAULT.to_owned() } else { mode(spec, self.names()) };
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
        let way = if has_relay {
            let gateway = SocketAddr::new(address, door.port());
            Way { engine: None, relay: Some(Duty::Pass(gateway)) }
        } else {
            Way { engine: Some(address), relay: None }
        };
        self.begin_way(spec, way).await
    }

    async fn begin_way(&self, spec: &PrepareSpec, way: Way) -> Result<Way, ExecutorError> {
        if let Some(duty) = way.relay {
            self.start_relay(spec, duty).await?;
        }
        Ok(way)
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
            options: is_without_address(spec)
                .then(|| HashMap::from([(WITHOUT_ADDRESS.to_owned(), "true".to_owned())])),
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
