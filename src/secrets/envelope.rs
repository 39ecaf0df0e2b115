//! The form of a sealed text, `v1.<data key>.<purpose>.<box>`: the box is a random nonce of 24 bytes and
//! what XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) makes of the text, in base64url. Everything before
//! the box is its associated data, so that no part can be changed or put elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::random_bytes;

#[cfg(test)]
mod tests;

/// The version of the form.
const VERSION: &str = "v1";
const NONCE_BYTES: usize = 24;

/// A key of 256 bits; overwritten when it is dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// A sealed text in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    /// Id of the data key it is sealed with.
    pub(super) data_key: String,
    /// What it is for.
    pub(super) purpose: String,
    sealed: Vec<u8>,
}

impl Envelope {
    /// Seals a text.
    pub(super) fn seal(key: &Key, data_key: &str, purpose: &str, plain: &str) -> Option<Self> {
        let sealed = seal_bytes(key, &head(data_key, purpose), plain.as_bytes())?;
        Some(Self { data_key: data_key.to_owned(), purpose: purpose.to_owned(), sealed })
    }

    /// The text, if it was sealed with this key and nothing was changed.
    pub(super) fn open(&self, key: &Key) -> Option<String> {
        let plain = open_bytes(key, &head(&self.data_key, &self.purpose), &self.sealed)?;
        String::from_utf8(plain).ok()
    }

    /// Reads what [`Envelope::to_text`] wrote, and only that.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (version, data_key) = (parts.next()?, parts.next()?);
        let (purpose, sealed) = (parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() {
            return None;
        }
        let purpose = String::from_utf8(URL_SAFE_NO_PAD.decode(purpose).ok()?).ok()?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        Some(Self { data_key: data_key.to_owned(), purpose, sealed })
    }

    pub(super) fn to_text(&self) -> String {
        format!("{}.{}", head(&self.data_key, &self.purpose), URL_SAFE_NO_PAD.encode(&self.sealed))
    }
}

/// How texts begin that are sealed with this data key.
pub(super) fn prefix_of(data_key: &str) -> String {
    format!("{VERSION}.{data_key}.")
}

fn head(data_key: &str, purpose: &str) -> String {
    prefix_of(data_key) + &URL_SAFE_NO_PAD.encode(purpose)
}

/// A random nonce, and what the cipher makes of `plain`.
pub(super) fn seal_bytes(key: &Key, bound: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let nonce: [u8; NONCE_BYTES] = random_bytes();
    let payload = Payload { msg: plain, aad: bound.as_bytes() };
    let cipher = XChaCha20Poly1305::new(&(**key).into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload).ok()?;
    Some([nonce.as_slice(), &sealed].concat())
}

/// The other way round; `None` for every key, binding and bytes but the right ones.
pub(super) fn open_bytes(key: &Key, bound: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad: bound.as_bytes() };
    XChaCha20Poly1305::new(&(**key).into()).decrypt(&XNonce::from(*nonce), payload).ok()
}
