//! Finds fields in the JSON of a delivery by their path, and says which one is missing.

use serde_json::Value;

use super::UnreadableDelivery;
use super::delivery::Sender;
use crate::model::Timestamp;

/// The JSON of one delivery.
pub(super) struct Payload {
    event: String,
    value: Value,
}

impl Payload {
    pub(super) fn parse(event: &str, body: &str) -> Result<Self, UnreadableDelivery> {
        let value = serde_json::from_str(body)
            .map_err(|error| UnreadableDelivery::NotJson(error.to_string()))?;
        Ok(Self { event: event.to_owned(), value })
    }

    /// A text by its path, such as `/repository/full_name`.
    pub(super) fn find_text(&self, path: &str) -> Option<&str> {
        self.value.pointer(path)?.as_str()
    }

    /// A text that such a delivery always has.
    pub(super) fn text(&self, path: &str) -> Result<String, UnreadableDelivery> {
        self.find_text(path).map(str::to_owned).ok_or_else(|| self.missing(path))
    }

    /// Message of a commit of a push: of its list, or of the newest, which some forges tell apart.
    pub(super) fn find_message(&self, revision: &str) -> Option<&str> {
        let head = self.value.pointer("/head_commit");
        let listed = self.value.pointer("/commits").and_then(Value::as_array);
        let is_it = |it: &&Value| it.get("id").and_then(Value::as_str) == Some(revision);
        let found = listed.into_iter().flatten().find(is_it);
        found.or(head)?.get("message")?.as_str()
    }

    /// A number that such a delivery always has.
    pub(super) fn number(&self, path: &str) -> Result<u64, UnreadableDelivery> {
        let number = self.value.pointer(path).and_then(Value::as_u64);
        number.ok_or_else(|| self.missing(path))
    }

    /// A number, as text.
    pub(super) fn find_id(&self, path: &str) -> Option<String> {
        self.value.pointer(path).and_then(Value::as_u64).map(|it| it.to_string())
    }

    /// A moment: RFC 3339, or GitLab's older `2015-05-17 18:08:09 UTC`.
    pub(super) fn find_moment(&self, path: &str) -> Option<Timestamp> {
        let text = self.find_text(path)?;
        let moment = chrono::DateTime::parse_from_rfc3339(text).map(|it| it.timestamp_millis());
        let older = || {
            let moment = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S UTC");
            moment.map(|it| it.and_utc().timestamp_millis())
        };
        moment.or_else(|_| older()).ok().map(Timestamp)
    }

    /// Whether a field is `true`.
    pub(super) fn is_true(&self, path: &str) -> bool {
        self.value.pointer(path).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether something other than `null` is there.
    pub(super) fn has(&self, path: &str) -> bool {
        self.value.pointer(path).is_some_and(|it| !it.is_null())
    }

    /// A commit id; `None` for the one of zeros, which stands for "not there".
    pub(super) fn revision(&self, path: &str) -> Result<Option<String>, UnreadableDelivery> {
        let id = self.text(path)?;
        let is_hex = matches!(id.len(), 40 | 64) && id.bytes().all(|it| it.is_ascii_hexdigit());
        if !is_hex {
            return Err(self.missing(path));
        }
        Ok((!id.bytes().all(|it| it == b'0')).then_some(id))
    }

    /// Somebody, by the paths of their id and login.
    pub(super) fn sender(&self, id: &str, login: &str) -> Sender {
        Sender {
            id: self.find_id(id).unwrap_or_default(),
            login: self.find_text(login).unwrap_or_default().to_owned(),
        }
    }

    fn missing(&self, path: &str) -> UnreadableDelivery {
        let field = path.trim_start_matches('/').replace('/', ".");
        UnreadableDelivery::Missing { event: self.event.clone(), field }
    }
}
