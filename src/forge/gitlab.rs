//! GitLab's deliveries (<https://docs.gitlab.com/user/project/integrations/webhook_events/>).

use super::UnreadableDelivery;
use super::delivery::{
    Comment, Delivery, DeliveryKind, PullRequest, PullRequestAction, Push, Sender,
};
use super::payload::Payload;

/// The word of a body that says which event it is.
pub(super) fn event(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Kind {
        object_kind: Option<String>,
        event_name: Option<String>,
    }
    let kind: Option<Kind> = serde_json::from_slice(body).ok();
    let word = kind.and_then(|it| it.object_kind.or(it.event_name)).unwrap_or_default();
    word.chars().take(100).collect()
}

/// Reads a delivery.
pub(super) fn read(event: &str, body: &str) -> Result<Delivery, UnreadableDelivery> {
    let payload = Payload::parse(event, body)?;
    let kind = match event {
        "push" => DeliveryKind::Push(push(&payload)?),
        "tag_push" => DeliveryKind::Tag(push(&payload)?),
        "merge_request" => merge_request(&payload)?,
        "note" => note(&payload)?,
        other => DeliveryKind::Ignored(format!("nothing starts by `{other}`")),
    };
    let path = "/project/path_with_namespace";
    let sender = match event {
        "push" | "tag_push" => payload.sender("/user_id", "/user_username"),
        _ => payload.sender("/user/id", "/user/username"),
    };
    let repository = payload.find_text(path).unwrap_or_default().to_owned();
    Ok(Delivery { repository, sender, kind })
}

/// GitLab does not say whether history was rewritten.
fn push(payload: &Payload) -> Result<Push, UnreadableDelivery> {
    Ok(Push {
        r#ref: payload.text("/ref")?,
        before: payload.revision("/before")?,
        after: payload.revision("/after")?,
        is_forced: false,
    })
}

fn merge_request(payload: &Payload) -> Result<DeliveryKind, UnreadableDelivery> {
    let at = |path: &str| payload.text(&format!("/object_attributes{path}"));
    let source = payload.number("/object_attributes/source_project_id")?;
    let target = payload.number("/object_attributes/target_project_id")?;
    let request = PullRequest {
        action: action(payload),
        number: payload.number("/object_attributes/iid")?,
        title: at("/title")?,
        author: author(payload),
        head: at("/source_branch")?,
        revision: at("/last_commit/id")?,
        base: at("/target_branch")?,
        is_fork: source != target,
        is_draft: payload.is_true("/object_attributes/draft")
            || payload.is_true("/object_attributes/work_in_progress"),
    };
    Ok(DeliveryKind::PullRequest(Box::new(request)))
}

/// The author, whose login GitLab sends only of who caused the delivery.
fn author(payload: &Payload) -> Sender {
    let id = payload.find_id("/object_attributes/author_id").unwrap_or_default();
    let sender = payload.sender("/user/id", "/user/username");
    if sender.id == id { sender } else { Sender { login: id.clone(), id } }
}

/// An `update` has new commits when it names the commit from before (`oldrev`); a request without an action
/// is one that an administrator has sent as a test.
fn action(payload: &Payload) -> PullRequestAction {
    let was_draft = payload.is_true("/changes/draft/previous");
    match payload.find_text("/object_attributes/action").unwrap_or_default() {
        "open" => PullRequestAction::Opened,
        "reopen" => PullRequestAction::Reopened,
        "update" if payload.has("/object_attributes/oldrev") => PullRequestAction::Synchronised,
        "update" if was_draft => PullRequestAction::Ready,
        "update" if payload.has("/changes/labels") => PullRequestAction::Labeled,
        "update" => PullRequestAction::Edited,
        "close" | "merge" => PullRequestAction::Closed,
        _ => PullRequestAction::Other,
    }
}

fn note(payload: &Payload) -> Result<DeliveryKind, UnreadableDelivery> {
    if payload.find_text("/object_attributes/noteable_type") != Some("MergeRequest") {
        let reason = "the comment is not below a merge request";
        return Ok(DeliveryKind::Ignored(reason.to_owned()));
    }
    if payload.find_text("/object_attributes/action").is_some_and(|it| it != "create") {
        let reason = "a comment is read once, when it is new";
        return Ok(DeliveryKind::Ignored(reason.to_owned()));
    }
    Ok(DeliveryKind::Comment(Comment {
        number: payload.number("/merge_request/iid")?,
        revision: payload.find_text("/merge_request/last_commit/id").map(str::to_owned),
        id: payload.find_id("/object_attributes/id").unwrap_or_default(),
        written_at: payload.find_moment("/object_attributes/created_at"),
        text: payload.text("/object_attributes/note")?,
    }))
}
