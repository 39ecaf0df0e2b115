//! A plain git remote sends nothing. What was seen at it is written down in the form of a delivery, so that
//! it is stored, tried again, listed and replayed like those of forges.

use super::UnreadableDelivery;
use super::delivery::{Delivery, DeliveryKind, Push, Sender};
use super::payload::Payload;
use crate::model::Timestamp;

const ZEROS: &str = "0000000000000000000000000000000000000000";

/// A ref of a remote that is not where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefChange {
    /// Full ref.
    pub r#ref: String,
    /// Where it was; `None` when it is new.
    pub before: Option<String>,
    /// Where it is; `None` when it is gone.
    pub after: Option<String>,
}

/// The change as a delivery: its name, which is the same whoever sees the change, and its body. `since` is
/// the moment the ref was where it was: a branch may go to and fro.
#[must_use]
pub fn describe_change(change: &RefChange, since: Timestamp) -> (String, String) {
    let before = change.before.as_deref().unwrap_or(ZEROS);
    let after = change.after.as_deref().unwrap_or(ZEROS);
    let body = serde_json::json!({ "ref": change.r#ref, "before": before, "after": after, "since": since.0 });
    let r#ref = &change.r#ref;
    (format!("{ref}@{before}..{after}#{}", since.0), body.to_string())
}

/// Reads what [`describe_change`] wrote.
pub(super) fn read(event: &str, body: &str) -> Result<Delivery, UnreadableDelivery> {
    let payload = Payload::parse(event, body)?;
    let push = Push {
        r#ref: payload.text("/ref")?,
        before: payload.revision("/before")?,
        after: payload.revision("/after")?,
        is_forced: false,
    };
    let is_tag = push.r#ref.starts_with("refs/tags/");
    let kind = if is_tag { DeliveryKind::Tag(push) } else { DeliveryKind::Push(push) };
    Ok(Delivery { repository: String::new(), sender: Sender::default(), kind })
}
