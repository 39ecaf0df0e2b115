//! GitHub's deliveries (<https://docs.github.com/webhooks/webhook-events-and-payloads>), whose form Gitea
//! and Forgejo speak too, with words of their own here and there.

use super::UnreadableDelivery;
use super::delivery::{Comment, Delivery, DeliveryKind, PullRequest, PullRequestAction, Push};
use super::payload::Payload;

/// Reads a delivery.
pub(super) fn read(event: &str, body: &str) -> Result<Delivery, UnreadableDelivery> {
    let payload = Payload::parse(event, body)?;
    let kind = match event {
        "push" => push(&payload)?,
        "pull_request" | "pull_request_sync" | "pull_request_label" => pull_request(&payload)?,
        "issue_comment" | "pull_request_comment" => comment(&payload)?,
        "ping" => DeliveryKind::Ping,
        "create" | "delete" => ignored("the forge sends a `push` for it too"),
        other => ignored(&format!("nothing starts by `{other}`")),
    };
    Ok(Delivery {
        repository: payload.find_text("/repository/full_name").unwrap_or_default().to_owned(),
        sender: payload.sender("/sender/id", "/sender/login"),
        kind,
    })
}

fn ignored(reason: &str) -> DeliveryKind {
    DeliveryKind::Ignored(reason.to_owned())
}

fn push(payload: &Payload) -> Result<DeliveryKind, UnreadableDelivery> {
    let push = Push {
        r#ref: payload.text("/ref")?,
        before: payload.revision("/before")?,
        after: payload.revision("/after")?,
        is_forced: payload.is_true("/forced"),
    };
    Ok(match push.r#ref.split('/').nth(1) {
        Some("heads") => DeliveryKind::Push(push),
        Some("tags") => DeliveryKind::Tag(push),
        _ => ignored(&format!("`{}` is neither a branch nor a tag", push.r#ref)),
    })
}

fn pull_request(payload: &Payload) -> Result<DeliveryKind, UnreadableDelivery> {
    let at = |path: &str| payload.text(&format!("/pull_request{path}"));
    // A fork that was deleted has no repository any more: not ours, in any case.
    let from = payload.find_text("/pull_request/head/repo/full_name");
    let into = at("/base/repo/full_name")?;
    let request = PullRequest {
        action: action(&payload.text("/action")?),
        number: payload.number("/number")?,
        title: at("/title")?,
        author: payload.sender("/pull_request/user/id", "/pull_request/user/login"),
        head: at("/head/ref")?,
        revision: at("/head/sha")?,
        base: at("/base/ref")?,
        is_fork: from != Some(&into),
        is_draft: payload.is_true("/pull_request/draft"),
    };
    Ok(DeliveryKind::PullRequest(Box::new(request)))
}

fn action(word: &str) -> PullRequestAction {
    match word {
        "opened" => PullRequestAction::Opened,
        "synchronize" | "synchronized" => PullRequestAction::Synchronised,
        "reopened" => PullRequestAction::Reopened,
        "ready_for_review" => PullRequestAction::Ready,
        "edited" => PullRequestAction::Edited,
        "labeled" | "unlabeled" | "label_updated" | "label_cleared" => PullRequestAction::Labeled,
        "closed" => PullRequestAction::Closed,
        _ => PullRequestAction::Other,
    }
}

fn comment(payload: &Payload) -> Result<DeliveryKind, UnreadableDelivery> {
    if payload.text("/action")? != "created" {
        return Ok(ignored("a comment is read once, when it is new"));
    }
    if !payload.has("/issue/pull_request") && !payload.is_true("/is_pull") {
        return Ok(ignored("the comment is below an issue, not below a pull request"));
    }
    Ok(DeliveryKind::Comment(Comment {
        number: payload.number("/issue/number")?,
        revision: payload.find_text("/pull_request/head/sha").map(str::to_owned),
        id: payload.find_id("/comment/id").unwrap_or_default(),
        written_at: payload.find_moment("/comment/created_at"),
        text: payload.text("/comment/body")?,
    }))
}
