//! All the forms in which a secret may turn up in a log.

use std::collections::BTreeMap;

use super::SECRET_MIN_BYTES;
use super::encodings as encode;

/// A line of a secret with several lines is masked on its own if it has so many characters that tell
/// something; others (`}`, `-----`) are all over every log.
const LINE_MIN_TELLING: usize = 4;
/// Characters that tell nothing.
const TRIVIAL: &str = "{}[]()<>,:;\"'=-";

/// A line of a wrapped encoding is masked on its own from this length on.
const WRAPPED_MIN_BYTES: usize = 8;

/// Line lengths at which tools break base64 and hex: `base64` 76, `openssl` and PEM 64, `xxd -p` 60.
const WRAPS: [usize; 3] = [76, 64, 60];

/// A byte string to hide.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) bytes: Vec<u8>,
    /// Whether a tool may have broken it into lines, anywhere.
    pub(super) wraps: bool,
}

/// A set of byte strings to hide.
#[derive(Default)]
pub(super) struct Forms {
    /// With whether they may be broken into lines.
    set: BTreeMap<Vec<u8>, bool>,
}

impl Forms {
    /// Adds everything that stands for this secret.
    pub(super) fn add_secret(&mut self, secret: &str) {
        self.add_text(secret);
        // A value that was read from a file mostly ends with a line feed that nobody prints.
        self.add_text(secret.trim());
        if secret.trim().contains(['\n', '\r']) {
            for line in secret.split(['\n', '\r']) {
                self.add_line(line);
                self.add_line(line.trim());
            }
        }
    }

    pub(super) fn into_list(self) -> Vec<Form> {
        self.set.into_iter().map(|(bytes, wraps)| Form { bytes, wraps }).collect()
    }

    fn add_line(&mut self, line: &str) {
        let is_telling = |it: &char| !it.is_whitespace() && !TRIVIAL.contains(*it);
        if line.chars().filter(is_telling).count() >= LINE_MIN_TELLING {
            self.add(line);
            self.add_escapes(line);
        }
    }

    fn add_text(&mut self, text: &str) {
        self.add(text);
        self.add_escapes(text);
        self.add_base64(text);
        for is_upper in [false, true] {
            let digits = encode::hex(text.as_bytes(), is_upper);
            self.add_encoded(&digits);
        }
    }

    fn add_escapes(&mut self, text: &str) {
        for keep in encode::PERCENT_KEEPS {
            for is_upper in [false, true] {
                self.add(encode::percent(text, keep, is_upper, "%20"));
                self.add(encode::percent(text, keep, is_upper, "+"));
            }
        }
        for style in encode::JsonStyle::ALL {
            let once = encode::json(text, style);
            // JSON that is written into JSON, as a log shipper does.
            self.add(encode::json(&once, encode::JsonStyle::Plain));
            self.add(once);
        }
        for escaped in encode::shell(text) {
            self.add(escaped);
        }
        for escaped in encode::html(text) {
            self.add(escaped);
        }
    }

    fn add_base64(&mut self, text: &str) {
        for is_url_safe in [false, true] {
            for form in encode::base64(text.as_bytes(), is_url_safe) {
                self.add_encoded(&form);
            }
        }
    }

    /// A text that a tool may break into lines; and the usual lines, for whoever puts something before
    /// each.
    fn add_encoded(&mut self, encoded: &str) {
        for width in WRAPS.into_iter().filter(|width| encoded.len() > *width) {
            for line in encoded.as_bytes().chunks(width) {
                if line.len() >= WRAPPED_MIN_BYTES {
                    self.add(line);
                }
            }
        }
        if encoded.len() >= SECRET_MIN_BYTES {
            self.set.insert(encoded.as_bytes().to_vec(), true);
        }
    }

    fn add(&mut self, form: impl AsRef<[u8]>) {
        let form = form.as_ref();
        if form.len() >= SECRET_MIN_BYTES {
            self.set.entry(form.to_vec()).or_default();
        }
    }
}
