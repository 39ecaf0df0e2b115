//! All the forms in which a secret may turn up in a log.

use std::collections::BTreeSet;

use super::SECRET_MIN_BYTES;
use super::encodings as encode;

/// A line of a secret with several lines is masked on its own from this length on.
const LINE_MIN_BYTES: usize = 8;

/// Line lengths at which tools break base64 and hex: `base64` 76, `openssl` and PEM 64, `xxd -p` 60.
const WRAPS: [usize; 3] = [76, 64, 60];

/// A set of byte strings to hide.
#[derive(Default)]
pub(super) struct Forms {
    set: BTreeSet<Vec<u8>>,
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

    pub(super) fn into_list(self) -> Vec<Vec<u8>> {
        self.set.into_iter().collect()
    }

    fn add_line(&mut self, line: &str) {
        if line.len() >= LINE_MIN_BYTES {
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
            self.add_wrapped(&digits);
            self.add(digits);
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
                self.add_wrapped(&form);
                self.add(form);
            }
        }
    }

    /// The lines into which a tool breaks an encoded text.
    fn add_wrapped(&mut self, encoded: &str) {
        for width in WRAPS.into_iter().filter(|width| encoded.len() > *width) {
            for line in encoded.as_bytes().chunks(width) {
                if line.len() >= LINE_MIN_BYTES {
                    self.set.insert(line.to_vec());
                }
            }
        }
    }

    fn add(&mut self, form: impl AsRef<[u8]>) {
        let form = form.as_ref();
        if form.len() >= SECRET_MIN_BYTES {
            self.set.insert(form.to_vec());
        }
    }
}
