//! A provider, ready to be called, and its keys: they go to it, and to nobody else with what it answers.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use memchr::memmem;

/// What stands where a key was.
const PLACEHOLDER: &str = "[redacted]";
/// Keys shorter than this would take words out.
const SHORTEST: usize = 8;

/// A provider, ready to be called.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Its address, without a slash at the end.
    pub url: String,
    /// Its name in the prices.
    pub price_provider: Arc<str>,
    /// The header of each key; none where the provider wants none.
    pub keys: Vec<Option<(HeaderName, HeaderValue)>>,
    /// The variable with its key that is not set: no call can be made until it is.
    pub missing_key: Option<String>,
}

impl Provider {
    /// What it says, without the key that it was called with, should it repeat it.
    #[must_use]
    pub fn without_key(&self, key: usize, text: Bytes) -> Bytes {
        let Some(secret) = self.secret(key) else { return text };
        let mut places = memmem::find_iter(&text, secret).peekable();
        if places.peek().is_none() {
            return text;
        }
        let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
        for place in places {
            out.extend_from_slice(text.get(at..place).unwrap_or_default());
            out.extend_from_slice(PLACEHOLDER.as_bytes());
            at = place + secret.len();
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        Bytes::from(out)
    }

    /// The same of the headers of its answer.
    pub fn take_key_out(&self, key: usize, headers: &mut HeaderMap) {
        let Some(secret) = self.secret(key) else { return };
        for value in headers.values_mut() {
            if memmem::find(value.as_bytes(), secret).is_some() {
                *value = HeaderValue::from_static(PLACEHOLDER);
            }
        }
    }

    /// The text of a key, behind the word that a header may have before it.
    fn secret(&self, key: usize) -> Option<&[u8]> {
        let (_, value) = self.keys.get(key)?.as_ref()?;
        let secret = value.as_bytes().rsplit(|it| *it == b' ').next()?;
        (secret.len() >= SHORTEST).then_some(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(value: &'static str) -> Provider {
        let header = (HeaderName::from_static("authorization"), HeaderValue::from_static(value));
        Provider {
            name: "p".to_owned(),
            url: String::new(),
            price_provider: Arc::from("p"),
            keys: vec![Some(header)],
            missing_key: None,
        }
    }

    #[test]
    fn a_key_is_taken_out_wherever_it_is_repeated() {
        let said = |value, text: &'static str| {
            let said = provider(value).without_key(0, Bytes::from_static(text.as_bytes()));
            String::from_utf8(said.to_vec()).unwrap()
        };
        let twice = "no sk-0123456789, Bearer sk-0123456789";
        assert_eq!(said("Bearer sk-0123456789", twice), "no [redacted], Bearer [redacted]");
        assert_eq!(said("sk-0123456789", "sk-0123456789"), "[redacted]");
        assert_eq!(said("Bearer key", "the key is wrong"), "the key is wrong");
        let mut headers = HeaderMap::new();
        headers.insert("x-said", HeaderValue::from_static("to sk-0123456789"));
        provider("Bearer sk-0123456789").take_key_out(0, &mut headers);
        assert_eq!(headers["x-said"], "[redacted]");
    }
}
