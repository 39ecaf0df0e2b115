//! Signatures of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::Timestamp;

/// What a secret begins with; the rest is base64.
const PREFIX: &str = "whsec_";

/// The headers of one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers {
    /// Its id, the same at every try.
    pub id: String,
    /// Seconds since 1970, of this try.
    pub timestamp: String,
    /// One signature for each secret, with spaces between them.
    pub signature: String,
}

/// A new secret of 32 random bytes.
#[must_use]
pub fn new_secret() -> String {
    format!("{PREFIX}{}", STANDARD.encode(super::random_bytes::<32>()))
}

/// Signs a body with every secret: who verifies knows the old or the new one while they change.
#[must_use]
pub fn sign(id: &str, now: Timestamp, body: &str, secrets: &[String]) -> Headers {
    let timestamp = (now.0 / 1000).to_string();
    let signatures: Vec<String> =
        secrets.iter().map(|it| signature(it, &format!("{id}.{timestamp}.{body}"))).collect();
    Headers { id: id.to_owned(), timestamp, signature: signatures.join(" ") }
}

fn signature(secret: &str, text: &str) -> String {
    let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
    let key = STANDARD.decode(encoded).unwrap_or_else(|_| secret.as_bytes().to_vec());
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the libraries of Standard Webhooks.
    #[test]
    fn a_signature_is_that_of_the_published_example() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let now = Timestamp(1_614_265_330_000);
        let body = r#"{"test": 2432232314}"#;
        let headers = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", now, body, &[secret]);
        assert_eq!(headers.timestamp, "1614265330");
        assert_eq!(headers.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_make_two_signatures() {
        let secrets = [new_secret(), new_secret()];
        let headers = sign("msg_1", Timestamp(0), "{}", &secrets);
        let both: Vec<_> = headers.signature.split(' ').collect();
        assert_eq!(both.len(), 2);
        assert_eq!(sign("msg_1", Timestamp(0), "{}", &secrets[..1]).signature, both[0]);
        assert_ne!(both[0], both[1]);
    }
}
