//! One key pair: made, sealed, opened; signs and verifies JWTs (RFC 7519) of one type.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{KeyError, Purpose};
use crate::model::Timestamp;
use crate::secrets::{Sealer, new_id};
use crate::store::access::keys::KeyRow;

/// When a key does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::auth) struct Times {
    pub(in crate::auth) created_at: Timestamp,
    pub(in crate::auth) signs_until: Timestamp,
    pub(in crate::auth) serves_until: Timestamp,
}

/// A key pair that is ready.
pub(in crate::auth) struct SigningKey {
    pub(in crate::auth) kid: String,
    pub(in crate::auth) times: Times,
    pub(in crate::auth) jwk: Value,
    algorithm: Algorithm,
    signs: EncodingKey,
    verifies: DecodingKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A JWT of this type (`typ`).
    pub(in crate::auth) fn sign(
        &self,
        kind: &str,
        claims: &impl Serialize,
    ) -> Result<String, KeyError> {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        header.typ = Some(kind.to_owned());
        Ok(jsonwebtoken::encode(&header, claims, &self.signs)?)
    }

    /// The claims, if this key has signed them for this type. Says nothing about their times.
    pub(in crate::auth) fn verify<C: DeserializeOwned>(
        &self,
        kind: &str,
        token: &str,
    ) -> Option<C> {
        let data =
            jsonwebtoken::decode::<C>(token, &self.verifies, &signature_only(self.algorithm));
        let data = data.ok()?;
        (data.header.typ.as_deref() == Some(kind)).then_some(data.claims)
    }
}

/// Times are compared with our clock, and not with that of the library.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

/// A new key as it is stored.
pub(super) async fn make(
    purpose: Purpose,
    times: Times,
    sealer: &Sealer,
) -> Result<KeyRow, KeyError> {
    let kid = new_id(times.created_at);
    let (private_der, jwk) = match purpose {
        Purpose::Session => make_ed25519(&kid)?,
        Purpose::Workload => make_p256(&kid)?,
    };
    let private_key = sealer.seal(&seal_purpose(&kid), &STANDARD.encode(private_der)).await?;
    Ok(KeyRow {
        purpose: purpose.as_str().to_owned(),
        algorithm: algorithm_name(purpose).to_owned(),
        private_key,
        public_key: jwk.to_string(),
        created_at: times.created_at,
        signs_until: times.signs_until,
        serves_until: times.serves_until,
        id: kid,
    })
}

/// A stored key, ready to use.
pub(super) async fn open(
    purpose: Purpose,
    row: KeyRow,
    sealer: &Sealer,
) -> Result<SigningKey, KeyError> {
    let unreadable = || KeyError::Unreadable { kid: row.id.clone() };
    let private = sealer.open(&seal_purpose(&row.id), &row.private_key).await?;
    let private = STANDARD.decode(private).map_err(|_| unreadable())?;
    let jwk: Value = serde_json::from_str(&row.public_key).map_err(|_| unreadable())?;
    let public = serde_json::from_value(jwk.clone()).map_err(|_| unreadable())?;
    let signs = match purpose {
        Purpose::Session => EncodingKey::from_ed_der(&private),
        Purpose::Workload => EncodingKey::from_ec_der(&private),
    };
    Ok(SigningKey {
        times: Times {
            created_at: row.created_at,
            signs_until: row.signs_until,
            serves_until: row.serves_until,
        },
        verifies: DecodingKey::from_jwk(&public).map_err(|_| unreadable())?,
        algorithm: purpose.algorithm(),
        kid: row.id,
        jwk,
        signs,
    })
}

fn seal_purpose(kid: &str) -> String {
    format!("signing_key/{kid}")
}

fn algorithm_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Session => "EdDSA",
        Purpose::Workload => "ES256",
    }
}

/// PKCS #8, and the JWK of RFC 8037, section 2.
fn make_ed25519(kid: &str) -> Result<(Vec<u8>, Value), KeyError> {
    let private = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.as_ref());
    let pair = pair.map_err(|_| KeyError::Unreadable { kid: kid.to_owned() })?;
    let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x
    });
    Ok((private.as_ref().to_vec(), jwk))
}

/// PKCS #8, and the JWK of RFC 7518, section 6.2.
fn make_p256(kid: &str) -> Result<(Vec<u8>, Value), KeyError> {
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let private = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new())?;
    let unreadable = || KeyError::Unreadable { kid: kid.to_owned() };
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, private.as_ref()).map_err(|_| unreadable())?;
    // An uncompressed point: 4, then both coordinates (SEC 1, section 2.3.3).
    let (_, point) = pair.public_key().as_ref().split_first().ok_or_else(unreadable)?;
    let (x, y) = point.split_at_checked(32).ok_or_else(unreadable)?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y
    });
    Ok((private.as_ref().to_vec(), jwk))
}
