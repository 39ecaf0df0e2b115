//! The transit engine of OpenBao and Vault: the wrapping key never leaves it.
//!
//! Form: <https://openbao.org/api-docs/secret/transit/>, read 2026-11. No associated data: `rewrap` does not
//! take any, and a data key in another's place opens nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::remote::{self, Question};
use super::{KeyError, Wrapped};
use crate::config::keys::TransitSettings;
use crate::secrets::envelope::Key;

const PROVIDER: &str = "the transit engine";

/// A key of a transit engine.
#[derive(Debug, Clone)]
pub struct Transit {
    settings: TransitSettings,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Ciphertext {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Plaintext {
    plaintext: Zeroizing<String>,
}

#[derive(Deserialize)]
struct KeyState {
    latest_version: u64,
}

impl Transit {
    /// A key of the engine that the settings name.
    pub fn new(settings: TransitSettings) -> Result<Self, KeyError> {
        let question = Question { provider: PROVIDER, operation: "connect" };
        let client = remote::client().map_err(|error| question.unreachable(error.to_string()))?;
        Ok(Self { settings, client })
    }

    pub(super) async fn wrap(&self, key: &Key) -> Result<Wrapped, KeyError> {
        let plaintext = Zeroizing::new(STANDARD.encode(**key));
        let answer = self.ask("encrypt", &json!({ "plaintext": plaintext.as_str() })).await?;
        self.wrapped(answer)
    }

    pub(super) async fn unwrap(&self, data_key: &str, wrapped: &Wrapped) -> Result<Key, KeyError> {
        let answer: Plaintext = self.ask("decrypt", &json!({ "ciphertext": wrapped.text })).await?;
        let bytes = STANDARD.decode(answer.plaintext.as_bytes()).ok().map(Zeroizing::new);
        let key = bytes.and_then(|it| <[u8; 32]>::try_from(it.as_slice()).ok());
        key.map(Key::new).ok_or_else(|| KeyError::Changed(data_key.to_owned()))
    }

    pub(super) async fn rewrap(&self, wrapped: &Wrapped) -> Result<Wrapped, KeyError> {
        let answer = self.ask("rewrap", &json!({ "ciphertext": wrapped.text })).await?;
        self.wrapped(answer)
    }

    pub(super) async fn rotate(&self) -> Result<String, KeyError> {
        let key = format!("keys/{}", self.settings.key);
        let question = Question { provider: PROVIDER, operation: "rotate" };
        let request = self.request(&format!("{key}/rotate")).json(&json!({}));
        let answer: Answer<KeyState> = question.ask(request).await?;
        Ok(self.name(&format!("v{}", answer.data.latest_version)))
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        operation: &str,
        body: &Value,
    ) -> Result<T, KeyError> {
        let request = self.request(&format!("{operation}/{}", self.settings.key)).json(body);
        let answer: Answer<T> = Question { provider: PROVIDER, operation }.ask(request).await?;
        Ok(answer.data)
    }

    fn request(&self, path: &str) -> reqwest::RequestBuilder {
        let base = self.settings.address.trim_end_matches('/');
        let url = format!("{base}/v1/{}/{path}", self.settings.mount);
        let request = self.client.post(url).header("X-Vault-Token", &self.settings.token.0);
        match self.settings.namespace.as_str() {
            "" => request,
            namespace => request.header("X-Vault-Namespace", namespace),
        }
    }

    /// `vault:v3:…`: the version stands in the ciphertext.
    fn wrapped(&self, answer: Ciphertext) -> Result<Wrapped, KeyError> {
        let version = answer.ciphertext.split(':').nth(1).map(|it| self.name(it));
        let question = Question { provider: PROVIDER, operation: "encrypt" };
        let by = version.ok_or_else(|| question.unreachable("its answer has another form"))?;
        Ok(Wrapped { by, text: answer.ciphertext })
    }

    fn name(&self, version: &str) -> String {
        format!("{}/{}:{version}", self.settings.mount, self.settings.key)
    }
}
