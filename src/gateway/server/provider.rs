//! A provider, ready to be called, and its keys: they go to it, and to nobody else with what it answers.

use std::sync::Arc;

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use memchr::memmem;
use memchr::memmem::Finder;

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
        if memmem::find(&text, secret).is_none() {
            return text;
        }
        let Some(mut filter) = self.key_filter(key) else { return text };
        let out = filter.push(&text);
        Bytes::from([out, filter.finish().unwrap_or_default()].concat())
    }

    /// The same of what comes in pieces; none where there is no key to take out.
    #[must_use]
    pub fn key_filter(&self, key: usize) -> Option<KeyFilter> {
        let finder = Finder::new(self.secret(key)?).into_owned();
        Some(KeyFilter { finder, held: 0 })
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

/// Takes a key out of what comes in pieces. All else passes as it is; what may be the beginning of the key waits for
/// the next piece.
pub struct KeyFilter {
    finder: Finder<'static>,
    /// So many bytes of the key wait.
    held: usize,
}

impl KeyFilter {
    /// Takes a piece in, and gives what goes on.
    #[must_use]
    pub fn push(&mut self, piece: &Bytes) -> Bytes {
        if self.held == 0 && self.finder.find(piece).is_none() {
            self.held = self.beginning(piece);
            // Where nothing waits, which is the rule, this is the piece.
            return piece.slice(..piece.len() - self.held);
        }
        let secret = self.finder.needle();
        let text = [secret.get(..self.held).unwrap_or_default(), piece].concat();
        let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
        for place in self.finder.find_iter(&text) {
            out.extend_from_slice(text.get(at..place).unwrap_or_default());
            out.extend_from_slice(PLACEHOLDER.as_bytes());
            at = place + secret.len();
        }
        let rest = text.get(at..).unwrap_or_default();
        let held = self.beginning(rest);
        out.extend_from_slice(rest.get(..rest.len() - held).unwrap_or_default());
        self.held = held;
        Bytes::from(out)
    }

    /// What waits and was no key, at the end.
    #[must_use]
    pub fn finish(self) -> Option<Bytes> {
        let held = self.finder.needle().get(..self.held)?;
        (!held.is_empty()).then(|| Bytes::copy_from_slice(held))
    }

    /// How much of the key a text ends with.
    fn beginning(&self, text: &[u8]) -> usize {
        let secret = self.finder.needle();
        let Some(first) = secret.first() else { return 0 };
        let tail = text.get((text.len() + 1).saturating_sub(secret.len())..).unwrap_or_default();
        let mut ends = memchr::memchr_iter(*first, tail).filter_map(|it| tail.get(it..));
        ends.find(|it| secret.starts_with(it)).map_or(0, <[u8]>::len)
    }
}

impl std::fmt::Debug for KeyFilter {
    /// Never shows the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFilter")
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

    fn in_pieces(value: &'static str, text: &str, size: usize) -> (String, usize) {
        let mut filter = provider(value).key_filter(0).unwrap();
        let (mut out, mut held) = (Vec::new(), 0);
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&filter.push(&Bytes::copy_from_slice(piece)));
            held = held.max(filter.held);
        }
        out.extend_from_slice(&filter.finish().unwrap_or_default());
        (String::from_utf8(out).unwrap(), held)
    }

    #[test]
    fn a_key_is_taken_out_of_pieces_however_they_are_cut_and_all_else_passes() {
        for key in ["sk-0123456789", "Bearer sk-0123456789", "aaaaaaab", "abababab"] {
            let secret = key.trim_start_matches("Bearer ");
            let half = &secret[..secret.len() / 2];
            for text in [
                format!("data: {secret}, {secret}{secret}\n\n"),
                format!("a{secret}"),
                format!("{half}{secret}{half}"),
                format!("{half}, {half}{half} no {half}"),
                "data: {\"s\":\"sk-\"}\n\n".to_owned(),
            ] {
                for size in 1..=text.len() {
                    let (out, held) = in_pieces(key, &text, size);
                    assert_eq!(out, text.replace(secret, PLACEHOLDER), "{key} {size}");
                    assert!(held < secret.len(), "{held}");
                }
                let whole = provider(key).without_key(0, Bytes::from(text.clone()));
                assert_eq!(whole, text.replace(secret, PLACEHOLDER));
            }
        }
    }

    #[test]
    fn a_piece_without_the_key_is_not_copied() {
        let mut filter = provider("Bearer sk-0123456789").key_filter(0).unwrap();
        let piece = Bytes::from_static(b"data: {\"content\":\"sk-1\"}\n\n");
        let passed = filter.push(&piece);
        assert_eq!((passed.as_ptr(), passed.len()), (piece.as_ptr(), piece.len()));
        assert_eq!(filter.finish(), None);
    }
}
