//! Proof that a delivery comes from somebody who knows the secret. Everything is compared in constant
//! time, and over the body as it came.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::Envelope;
use crate::model::Timestamp;

/// How far the clocks of a forge and of this machine may be apart
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
const TOLERANCE_SECONDS: i64 = 5 * 60;
/// Signatures in one header; a sender that rotates its key sends two.
const SIGNATURES_MAX: usize = 8;
/// What a secret of Standard Webhooks begins with; the rest is base64.
const STANDARD_PREFIX: &str = "whsec_";

/// Why a delivery proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The project has no secret, or nothing sends it deliveries.
    #[error("the project takes no deliveries")]
    NoHook,
    /// The header is not there.
    #[error("the delivery has no `{0}`")]
    Missing(&'static str),
    /// It was made with another secret, or of another body.
    #[error("the `{0}` does not fit")]
    Wrong(&'static str),
    /// It was sent too long ago, or will be.
    #[error("the `webhook-timestamp` is more than 5 minutes off")]
    Stale,
}

/// GitHub's and Gitea's form: HMAC-SHA256 of the body in hexadecimal digits
/// (<https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>).
pub(super) fn prove_hex(
    envelope: &Envelope<'_>,
    header: &'static str,
    prefix: &str,
    secret: &str,
) -> Result<(), Unproven> {
    let value = envelope.first_header(&[header]).ok_or(Unproven::Missing(header))?;
    let digits = value.strip_prefix(prefix).ok_or(Unproven::Wrong(header))?;
    let given = hex::decode(digits).map_err(|_| Unproven::Wrong(header))?;
    let mac = mac(secret.as_bytes(), &[envelope.body]);
    mac.verify_slice(&given).map_err(|_| Unproven::Wrong(header))
}

/// GitLab's forms: signed as Standard Webhooks has it, or the secret itself
/// (<https://docs.gitlab.com/user/project/integrations/webhooks/>).
pub(super) fn prove_gitlab(
    envelope: &Envelope<'_>,
    secret: &str,
    now: Timestamp,
) -> Result<(), Unproven> {
    if envelope.headers.contains_key("webhook-signature") {
        return prove_standard(envelope, secret, now);
    }
    let header = "x-gitlab-token";
    let token = envelope.first_header(&[header]).ok_or(Unproven::Missing(header))?;
    let is_same: bool = token.as_bytes().ct_eq(secret.as_bytes()).into();
    if is_same { Ok(()) } else { Err(Unproven::Wrong(header)) }
}

fn prove_standard(envelope: &Envelope<'_>, secret: &str, now: Timestamp) -> Result<(), Unproven> {
    let header = |name| envelope.first_header(&[name]).ok_or(Unproven::Missing(name));
    let (id, moment) = (header("webhook-id")?, header("webhook-timestamp")?);
    let seconds: i64 = moment.parse().map_err(|_| Unproven::Wrong("webhook-timestamp"))?;
    if (now.0 / 1000).saturating_sub(seconds).saturating_abs() > TOLERANCE_SECONDS {
        return Err(Unproven::Stale);
    }
    let name = "webhook-signature";
    let encoded = secret.strip_prefix(STANDARD_PREFIX).unwrap_or(secret);
    let key = STANDARD.decode(encoded).unwrap_or_else(|_| secret.as_bytes().to_vec());
    let mac = mac(&key, &[id.as_bytes(), b".", moment.as_bytes(), b".", envelope.body]);
    let mut signatures = header(name)?.split(' ').take(SIGNATURES_MAX);
    let fits = |it: &str| {
        let given = it.strip_prefix("v1,").and_then(|it| STANDARD.decode(it).ok());
        given.is_some_and(|it| mac.clone().verify_slice(&it).is_ok())
    };
    if signatures.any(fits) { Ok(()) } else { Err(Unproven::Wrong(name)) }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}
