//! The connection to a server: certificates, proxies, and how long anything may take.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Certificate, ClientBuilder, NoProxy, Proxy, redirect};

use crate::cli::failure::Usage;
use crate::config::ProxySettings;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may be silent; its streams say something more often.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// What speaks HTTP, with more authorities than those of the system where a file names some. It follows no
/// redirect: the token is only for the server that was named.
pub fn client(proxies: &ProxySettings, ca: Option<&Path>) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("trunkline/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(SILENCE_MAX)
        .redirect(redirect::Policy::none());
    let builder = with_proxies(builder.no_proxy(), proxies)?;
    let builder = match ca {
        Some(file) => builder.tls_certs_merge(certificates(file)?),
        None => builder,
    };
    builder.build().context("the connection could not be prepared")
}

fn certificates(file: &Path) -> anyhow::Result<Vec<Certificate>> {
    let help = "`--ca` names a file with certificates in PEM form";
    let shown = file.display();
    let text = std::fs::read(file)
        .map_err(|error| Usage::new(format!("`{shown}` cannot be read: {error}"), help))?;
    let read = Certificate::from_pem_bundle(&text).unwrap_or_default();
    if read.is_empty() {
        return Err(Usage::new(format!("`{shown}` has no certificate in it"), help).into());
    }
    Ok(read)
}

fn with_proxies(builder: ClientBuilder, settings: &ProxySettings) -> anyhow::Result<ClientBuilder> {
    let direct = settings.no_proxy.as_deref().and_then(NoProxy::from_string);
    let proxies = [
        ("http_proxy", settings.http.as_deref().map(Proxy::http)),
        ("HTTPS_PROXY", settings.https.as_deref().map(Proxy::https)),
        ("ALL_PROXY", settings.all.as_deref().map(Proxy::all)),
    ];
    let mut builder = builder;
    for (name, proxy) in proxies {
        let Some(proxy) = proxy else { continue };
        let bad = |_| Usage::new(format!("`{name}` is not the address of a proxy"), "");
        builder = builder.proxy(proxy.map_err(bad)?.no_proxy(direct.clone()));
    }
    Ok(builder)
}
