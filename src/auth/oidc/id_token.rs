//! Whether an ID token proves what it says: OpenID Connect Core 1.0, section 3.1.3.7. Pure.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

/// How far the provider's clock may be from ours, in seconds.
const SKEW_SECONDS: i64 = 60;
const SUBJECT_CHARS_MAX: usize = 255;

/// What an ID token has to say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_seconds: i64,
}

/// The claims, or why they are not proved.
pub(super) fn verify(
    token: &str,
    keys: &JwkSet,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, &'static str> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| "it is no signed JWT")?;
    // A secret key is known to us as well, and public keys to everybody.
    if header.alg.family() == AlgorithmFamily::Hmac {
        return Err("its algorithm is not one of public keys");
    }
    let key =
        find_key(keys, header.kid.as_deref(), header.alg).ok_or("no key of the provider fits")?;
    let key = DecodingKey::from_jwk(key).map_err(|_| "its key cannot be read")?;
    let data = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &signature_only(header.alg));
    let claims = data.map_err(|_| "its signature is wrong")?.claims;
    check(&claims, expected)?;
    Ok(claims)
}

/// The key of this id; without an id, the only one there is.
fn find_key<'a>(keys: &'a JwkSet, kid: Option<&str>, algorithm: Algorithm) -> Option<&'a Jwk> {
    let mut fitting = keys.keys.iter().filter(|it| is_fitting(it, algorithm));
    match kid {
        Some(kid) => fitting.find(|it| it.common.key_id.as_deref() == Some(kid)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

/// The key says what it is for, and not the token (RFC 8725, section 3.1).
fn is_fitting(key: &Jwk, algorithm: Algorithm) -> bool {
    let family = match key.algorithm {
        AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(_) => AlgorithmFamily::Ec,
        AlgorithmParameters::OctetKeyPair(_) => AlgorithmFamily::Ed,
        AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_) | _ => return false,
    };
    let is_for_signing =
        key.common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
    let named = key.common.key_algorithm.map(|it| it.to_string());
    let is_named = named.is_none_or(|it| it == format!("{algorithm:?}"));
    family == algorithm.family() && is_for_signing && is_named
}

fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn check(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let moment = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century are exact")]
    let (now, skew) = (expected.now_seconds as f64, SKEW_SECONDS as f64);
    if text("iss") != expected.issuer {
        return Err("its issuer is another one");
    }
    if !is_for(claims, expected.client_id) {
        return Err("it is for another audience");
    }
    if moment("exp").is_none_or(|it| it + skew <= now) {
        return Err("it has expired");
    }
    if moment("iat").is_none_or(|it| it > now + skew)
        || moment("nbf").is_some_and(|it| it > now + skew)
    {
        return Err("it is of the future");
    }
    let is_answer: bool = text("nonce").as_bytes().ct_eq(expected.nonce.as_bytes()).into();
    if !is_answer || expected.nonce.is_empty() {
        return Err("its nonce is not ours");
    }
    let subject = text("sub");
    if subject.is_empty() || subject.len() > SUBJECT_CHARS_MAX {
        return Err("it names nobody");
    }
    Ok(())
}

/// One of several audiences has to be the party it was made for.
fn is_for(claims: &Map<String, Value>, client_id: &str) -> bool {
    let azp = claims.get("azp").and_then(Value::as_str);
    match claims.get("aud") {
        Some(Value::String(one)) => one == client_id && azp.is_none_or(|it| it == client_id),
        Some(Value::Array(several)) => {
            let is_only = several.len() == 1 && azp.is_none();
            several.iter().any(|it| it == client_id) && (is_only || azp == Some(client_id))
        }
        _ => false,
    }
}
