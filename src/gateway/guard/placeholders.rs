//! What stands in place of what was found, and what it stood for: `[EMAIL_1]`. The same text has the
//! same placeholder all through a call. Pure.

use std::collections::HashMap;

/// Texts that are kept apart in one call. What comes beyond has a placeholder without a number.
const AT_MOST: usize = 10_000;

/// The placeholders of one call.
#[derive(Debug, Default)]
pub struct Placeholders {
    of_text: HashMap<String, String>,
    texts: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
    /// Those that the client may see again, for it had them before.
    restorable: bool,
}

impl Placeholders {
    /// With `restores`, [`Self::restored`] gives back what requests had.
    #[must_use]
    pub fn new(restores: bool) -> Self {
        Self { restorable: restores, ..Self::default() }
    }

    /// The placeholder of a text. `body` is what it stands in: no placeholder is given that is there.
    pub fn put(&mut self, label: &'static str, text: &str, body: &str) -> String {
        if let Some(placeholder) = self.of_text.get(text) {
            return placeholder.clone();
        }
        if self.of_text.len() >= AT_MOST {
            return format!("[{label}]");
        }
        let count = self.counts.entry(label).or_default();
        let placeholder = loop {
            *count += 1;
            let placeholder = format!("[{label}_{count}]");
            if !body.contains(&placeholder) {
                break placeholder;
            }
        };
        self.of_text.insert(text.to_owned(), placeholder.clone());
        placeholder
    }

    /// From now on what has been put can be restored, and nothing that comes later.
    pub fn close_request(&mut self) {
        if self.restorable {
            self.texts = self.of_text.iter().map(|it| (it.1.clone(), it.0.clone())).collect();
        }
    }

    /// Whether there is anything to restore.
    #[must_use]
    pub fn restores(&self) -> bool {
        !self.texts.is_empty()
    }

    /// A text with what placeholders of the request stand for. Inside of JSON in a text it is escaped.
    #[must_use]
    pub fn restored(&self, text: &str, is_json: bool) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('[').filter(|_| self.restores()) {
            out.push_str(rest.get(..start).unwrap_or_default());
            rest = rest.get(start..).unwrap_or_default();
            let end = rest.find(']').map_or(0, |it| it + 1);
            if let Some(text) = self.texts.get(rest.get(..end).unwrap_or_default()) {
                out.push_str(&if is_json { escaped(text) } else { text.clone() });
                rest = rest.get(end..).unwrap_or_default();
            } else {
                out.push('[');
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        out.push_str(rest);
        out
    }
}

/// As it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_placeholder_and_comes_back() {
        let mut placeholders = Placeholders::new(true);
        let body = "[EMAIL_2] is taken";
        assert_eq!(placeholders.put("EMAIL", "a@b.de", body), "[EMAIL_1]");
        assert_eq!(placeholders.put("EMAIL", "c\"@d.de", body), "[EMAIL_3]");
        assert_eq!(placeholders.put("EMAIL", "a@b.de", body), "[EMAIL_1]");
        placeholders.close_request();
        assert_eq!(placeholders.put("EMAIL", "e@f.de", ""), "[EMAIL_4]");
        let answer = "[x [EMAIL_1][EMAIL_3] [EMAIL_4] [EMAIL_2] [EMAIL_1";
        assert_eq!(
            placeholders.restored(answer, true),
            "[x a@b.dec\\\"@d.de [EMAIL_4] [EMAIL_2] [EMAIL_1"
        );
        assert_eq!(placeholders.restored("[EMAIL_3]", false), "c\"@d.de");
    }

    #[test]
    fn nothing_comes_back_unless_it_shall() {
        let mut placeholders = Placeholders::new(false);
        placeholders.put("EMAIL", "a@b.de", "");
        placeholders.close_request();
        assert!(!placeholders.restores());
        assert_eq!(placeholders.restored("[EMAIL_1]", false), "[EMAIL_1]");
    }
}
