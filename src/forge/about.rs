//! What people know a delivery by, whatever forge has sent it. For lists: nothing is decided by it.

use super::delivery::{Comment, DeliveryKind, Push};
use super::payload::Payload;
use super::read;
use crate::model::ForgeKind;

/// Characters of a name or a subject that are told.
const CHARS_MAX: usize = 120;

/// What people know a delivery by; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Branch or tag; of a request the branch that it comes from.
    pub branch: String,
    /// Id of the commit; empty where the branch is gone.
    pub revision: String,
    /// First line of the commit's message, or title of the request.
    pub subject: String,
    /// Number of the pull or merge request.
    pub request: Option<u64>,
}

/// What a delivery is about; `None` where it is about neither commits nor a request, or cannot be read.
#[must_use]
pub fn about(forge: ForgeKind, event: &str, body: &str) -> Option<About> {
    match read(forge, event, body).ok()?.kind {
        DeliveryKind::Push(push) | DeliveryKind::Tag(push) => {
            Some(of_push(&push, &Payload::parse(event, body).ok()?))
        }
        DeliveryKind::PullRequest(request) => Some(About {
            branch: cut(&request.head),
            revision: request.revision,
            subject: cut(&request.title),
            request: Some(request.number),
        }),
        DeliveryKind::Comment(comment) => {
            Some(of_comment(comment, &Payload::parse(event, body).ok()?))
        }
        DeliveryKind::Ping | DeliveryKind::Ignored(_) => None,
    }
}

fn of_push(push: &Push, payload: &Payload) -> About {
    let name = push.r#ref.splitn(3, '/').nth(2).unwrap_or(&push.r#ref);
    let revision = push.after.clone().unwrap_or_default();
    let message = payload.find_message(&revision).unwrap_or_default();
    About { branch: cut(name), subject: cut(message), revision, request: None }
}

fn of_comment(comment: Comment, payload: &Payload) -> About {
    let title = ["/issue/title", "/merge_request/title"];
    let title = title.into_iter().find_map(|it| payload.find_text(it)).unwrap_or_default();
    About {
        branch: String::new(),
        revision: comment.revision.unwrap_or_default(),
        subject: cut(title),
        request: Some(comment.number),
    }
}

/// The first line, and of that the beginning.
fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BEFORE: &str = "1111111111111111111111111111111111111111";
    const AFTER: &str = "2222222222222222222222222222222222222222";

    fn shown((forge, event): (ForgeKind, &str), body: &Value) -> String {
        let Some(it) = about(forge, event, &body.to_string()) else { return "nothing".to_owned() };
        let number = it.request.map_or_else(String::new, |it| format!("#{it} "));
        let revision = it.revision.get(..4).unwrap_or("gone");
        format!("{number}{} {revision}: {}", it.branch, it.subject)
    }

    #[test]
    fn a_push_is_known_by_its_branch_and_the_subject_of_its_newest_commit() {
        let commits = json!([
            { "id": BEFORE, "message": "Older" },
            { "id": AFTER, "message": "Sell umbrellas\n\nAnd coats." },
        ]);
        let push = |name: &str, after: &str| json!({ "ref": name, "before": BEFORE, "after": after, "commits": commits });
        let main = push("refs/heads/feature/rain", AFTER);
        for forge in [ForgeKind::Github, ForgeKind::Gitea, ForgeKind::Gitlab] {
            assert_eq!(shown((forge, "push"), &main), "feature/rain 2222: Sell umbrellas");
        }
        let mut head = push("refs/tags/v1", AFTER);
        head["commits"] = json!([]);
        head["head_commit"] = json!({ "id": AFTER, "message": "Release" });
        assert_eq!(shown((ForgeKind::Github, "push"), &head), "v1 2222: Release");
        let gone = push("refs/heads/old", &"0".repeat(40));
        assert_eq!(shown((ForgeKind::Github, "push"), &gone), "old gone: ");
        let seen = json!({ "ref": "refs/heads/main", "before": BEFORE, "after": AFTER });
        assert_eq!(shown((ForgeKind::Git, ""), &seen), "main 2222: ");
    }

    #[test]
    fn a_request_is_known_by_its_number_and_title() {
        let repository = json!({ "full_name": "shop/web" });
        let opened = json!({
            "action": "opened", "number": 3,
            "pull_request": {
                "title": "☂".repeat(200),
                "head": { "ref": "rain", "sha": AFTER, "repo": repository },
                "base": { "ref": "main", "repo": repository },
            },
        });
        let title = format!("{}…", "☂".repeat(120));
        let told = shown((ForgeKind::Github, "pull_request"), &opened);
        assert_eq!(told, format!("#3 rain 2222: {title}"));
        let said = json!({
            "action": "created", "comment": { "body": "/test" },
            "issue": { "number": 3, "title": "Rain", "pull_request": {} },
        });
        assert_eq!(shown((ForgeKind::Github, "issue_comment"), &said), "#3  gone: Rain");
        assert_eq!(shown((ForgeKind::Github, "ping"), &json!({})), "nothing");
        assert_eq!(shown((ForgeKind::Github, "push"), &json!({})), "nothing");
    }
}
