//! A gateway that is asked from a terminal, with one of its keys.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::read;
use crate::cli::failure::{Broken, Usage};
use crate::cli::remote::connect;
use crate::cli::session::Session;

/// Which gateway is asked.
#[derive(Debug, clap::Args)]
pub struct GatewayArgs {
    /// Address of the gateway
    #[arg(long, value_name = "URL", global = true)]
    url: Option<String>,
    /// A file with the key
    #[arg(long, value_name = "FILE", global = true)]
    key_file: Option<PathBuf>,
}

/// A gateway.
pub struct Gateway<'a> {
    pub(super) session: &'a Session,
    http: reqwest::Client,
    address: String,
    key: String,
}

impl<'a> Gateway<'a> {
    /// The one that is named, or that the environment names.
    pub fn of(session: &'a Session, args: &GatewayArgs) -> anyhow::Result<Self> {
        let variable = |name: &str| session.environment.get(name).map(str::to_owned);
        let address = args.url.clone().or_else(|| variable("TRUNKLINE_GATEWAY_URL"));
        let address = address.or_else(|| variable("OPENAI_BASE_URL"));
        let nowhere = || {
            let help = "give `--url`, or set TRUNKLINE_GATEWAY_URL or OPENAI_BASE_URL";
            Usage::new("no gateway is known", help)
        };
        let address = address.ok_or_else(nowhere)?;
        let address = address.trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let key = match &args.key_file {
            Some(file) => Some(key_of(session, file)?),
            None => variable("TRUNKLINE_GATEWAY_KEY").or_else(|| variable("OPENAI_API_KEY")),
        };
        let no_key = || {
            let help = "give `--key-file`, or set TRUNKLINE_GATEWAY_KEY or OPENAI_API_KEY";
            Usage::new("no key of the gateway is known", help)
        };
        let key = key.ok_or_else(no_key)?;
        let ca = session.ca.as_deref();
        let http = connect::client(&session.settings.client.proxies, ca)?;
        Ok(Self { session, http, address, key })
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.address));
        request.bearer_auth(&self.key)
    }

    /// The JSON that it answers with.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let unreachable = || format!("the gateway at `{}` does not answer", self.address);
        let response = request.send().await.with_context(unreachable)?;
        let status = response.status();
        let text = response.text().await.with_context(unreachable)?;
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let said = json.pointer("/error/message").and_then(Value::as_str);
        let message = match said {
            Some(said) => format!("the gateway answers {status}: {said}"),
            None => format!("the gateway answers {status}"),
        };
        if status.is_client_error() {
            return Err(Usage::new(message, "").into());
        }
        let help = "Try it again in a moment.".to_owned();
        Err(Broken { message, help }.into())
    }
}

fn key_of(session: &Session, file: &Path) -> anyhow::Result<String> {
    Ok(read(session, file)?.trim().to_owned())
}
