//! Image references and the credentials that Docker's own configuration file has for registries.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;

use crate::executor::docker::DockerSettings;

#[derive(Debug, Default, Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: HashMap<String, Auth>,
}

#[derive(Debug, Default, Deserialize)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: Option<String>,
}

/// Repository and tag (or digest) of a reference.
pub(super) fn split_tag(image: &str) -> (&str, Option<&str>) {
    if let Some((repository, digest)) = image.split_once('@') {
        return (repository, Some(digest));
    }
    match image.rsplit_once(':') {
        // A colon before the last slash is a port.
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (image, None),
    }
}

/// The registry's host, as Docker's configuration file names it.
fn host(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "https://index.docker.io/v1/",
    }
}

/// Credentials for the registry of an image. Without any, the request is anonymous; credential helpers are
/// not asked.
pub(super) fn credentials(settings: &DockerSettings, image: &str) -> Option<DockerCredentials> {
    let text = std::fs::read(settings.registry_config.as_ref()?).ok()?;
    let config: ConfigFile = serde_json::from_slice(&text).ok()?;
    let auth = config.auths.get(host(image))?;
    let decoded = STANDARD.decode(&auth.auth).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (username, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    Some(DockerCredentials {
        username: Some(username.to_owned()),
        password: Some(password.to_owned()),
        identitytoken: auth.identity_token.clone(),
        serveraddress: Some(host(image).to_owned()),
        ..DockerCredentials::default()
    })
}

#[cfg(test)]
mod tests;
