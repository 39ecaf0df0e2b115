//! AWS KMS: the wrapping key never leaves it, and the id of the data key is bound as encryption context.
//!
//! Form: <https://docs.aws.amazon.com/kms/latest/APIReference/>, read 2026-11.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::remote::{self, Question};
use super::sigv4::{Credentials, Request};
use super::{KeyError, Wrapped};
use crate::config::keys::AwsKmsSettings;
use crate::model::Clock;
use crate::secrets::envelope::Key;

const PROVIDER: &str = "AWS KMS";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// A key of AWS KMS.
#[derive(Debug, Clone)]
pub struct AwsKms {
    settings: AwsKmsSettings,
    client: reqwest::Client,
    url: reqwest::Url,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    key_id: String,
    #[serde(default)]
    ciphertext_blob: String,
    #[serde(default)]
    plaintext: Zeroizing<String>,
}

impl AwsKms {
    /// The key that the settings name.
    pub fn new(settings: AwsKmsSettings, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        let question = Question { provider: PROVIDER, operation: "connect" };
        let client = remote::client().map_err(|error| question.unreachable(error.to_string()))?;
        let of_region = format!("https://kms.{}.amazonaws.com/", settings.region);
        let address = settings.endpoint.clone().unwrap_or(of_region);
        let url = address.parse();
        let url = url.map_err(|_| question.unreachable(format!("`{address}` is no address")))?;
        Ok(Self { settings, client, url, clock })
    }

    pub(super) fn key(&self) -> &str {
        &self.settings.key
    }

    pub(super) async fn new_key(&self, data_key: &str) -> Result<(Key, Wrapped), KeyError> {
        let body = json!({
            "KeyId": self.settings.key,
            "KeySpec": "AES_256",
            "EncryptionContext": context(data_key),
        });
        let answer = self.ask("GenerateDataKey", &body).await?;
        Ok((to_key(data_key, &answer)?, wrapped(answer)))
    }

    pub(super) async fn wrap(&self, data_key: &str, key: &Key) -> Result<Wrapped, KeyError> {
        let plaintext = Zeroizing::new(STANDARD.encode(**key));
        let body = json!({
            "KeyId": self.settings.key,
            "Plaintext": plaintext.as_str(),
            "EncryptionContext": context(data_key),
        });
        Ok(wrapped(self.ask("Encrypt", &body).await?))
    }

    pub(super) async fn unwrap(&self, data_key: &str, wrapped: &Wrapped) -> Result<Key, KeyError> {
        let body = json!({
            "KeyId": wrapped.by,
            "CiphertextBlob": wrapped.text,
            "EncryptionContext": context(data_key),
        });
        to_key(data_key, &self.ask("Decrypt", &body).await?)
    }

    pub(super) async fn rewrap(
        &self,
        data_key: &str,
        under: &Wrapped,
    ) -> Result<Wrapped, KeyError> {
        let body = json!({
            "CiphertextBlob": under.text,
            "SourceKeyId": under.by,
            "SourceEncryptionContext": context(data_key),
            "DestinationKeyId": self.settings.key,
            "DestinationEncryptionContext": context(data_key),
        });
        Ok(wrapped(self.ask("ReEncrypt", &body).await?))
    }

    async fn ask(&self, operation: &str, body: &Value) -> Result<Answer, KeyError> {
        let target = format!("TrentService.{operation}");
        let body = Zeroizing::new(body.to_string());
        let host = self.url.host_str().unwrap_or_default();
        let host = self.url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let mut headers = vec![
            ("content-type", CONTENT_TYPE.to_owned()),
            ("host", host),
            ("x-amz-target", target),
        ];
        if let Some(token) = &self.settings.session_token {
            headers.push(("x-amz-security-token", token.0.clone()));
        }
        let request = Request { method: "POST", path: "/", headers, body: body.as_bytes() };
        let signed = request.sign(&self.credentials(), self.clock.now());
        let mut request = self.client.post(self.url.clone()).body(body.as_bytes().to_vec());
        for (name, value) in signed {
            request = request.header(name, value);
        }
        Question { provider: PROVIDER, operation }.ask(request).await
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials {
            access_key: &self.settings.access_key,
            secret_key: &self.settings.secret_key.0,
            region: &self.settings.region,
            service: "kms",
        }
    }
}

fn context(data_key: &str) -> Value {
    json!({ "trunkline:data_key": data_key })
}

fn wrapped(answer: Answer) -> Wrapped {
    Wrapped { by: answer.key_id, text: answer.ciphertext_blob }
}

fn to_key(data_key: &str, answer: &Answer) -> Result<Key, KeyError> {
    let bytes = STANDARD.decode(answer.plaintext.as_bytes()).ok().map(Zeroizing::new);
    let key = bytes.and_then(|it| <[u8; 32]>::try_from(it.as_slice()).ok());
    key.map(Key::new).ok_or_else(|| KeyError::Changed(data_key.to_owned()))
}
