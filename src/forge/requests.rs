//! The open pull or merge requests of a repository, for deliveries that were lost: GitHub's
//! (<https://docs.github.com/rest/pulls/pulls#list-pull-requests>), Gitea's after its model, and GitLab's
//! (<https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests>). Each is written down in the
//! form of the delivery that did not come.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Api, Client, PostError};
use crate::model::{ForgeKind, Timestamp};

/// Requests of one look, the ones that changed last; more are seen when they change.
const REQUESTS_MAX: usize = 100;
/// Gitea gives no more on one page unless its operator allows it.
const REQUESTS_MAX_GITEA: usize = 50;

/// An open request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// Its number.
    pub number: u64,
    /// Its newest commit.
    pub revision: String,
    /// The event of the delivery that tells of it.
    pub event: &'static str,
    /// The delivery's body.
    pub body: Value,
}

/// The open requests of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequests {
    /// They themselves.
    pub requests: Vec<OpenRequest>,
    /// Whether these are all.
    pub is_complete: bool,
}

impl Client {
    /// The requests that are open now.
    pub async fn open_requests(&self, now: Timestamp) -> Result<OpenRequests, PostError> {
        let base = Self::base_of(self.forge, &self.base);
        let api = Api { outgoing: &self.outgoing, base, token: &self.token, now };
        let repository = &self.repository;
        let (path, limit) = match self.forge {
            ForgeKind::Github => {
                let query = "state=open&sort=updated&direction=desc";
                (format!("/repos/{repository}/pulls?{query}&per_page={REQUESTS_MAX}"), REQUESTS_MAX)
            }
            ForgeKind::Gitea => {
                let limit = REQUESTS_MAX_GITEA;
                let query = "state=open&sort=recentupdate";
                (format!("/repos/{repository}/pulls?{query}&limit={limit}"), limit)
            }
            ForgeKind::Gitlab => {
                let project = utf8_percent_encode(repository, NON_ALPHANUMERIC);
                let query = "state=opened&order_by=updated_at&sort=desc";
                let path = format!("/projects/{project}/merge_requests?{query}");
                (format!("{path}&per_page={REQUESTS_MAX}"), REQUESTS_MAX)
            }
            ForgeKind::Git => {
                return Ok(OpenRequests { requests: Vec::new(), is_complete: false });
            }
        };
        let answer = api.call(Method::GET, &path, None, self.authorization()).await?;
        let listed: Vec<Value> = answer.json()?;
        let is_complete = listed.len() < limit;
        let described = listed.iter().filter_map(|it| describe(self.forge, repository, it));
        Ok(OpenRequests { requests: described.collect(), is_complete })
    }
}

/// A request as the delivery that would have told of it; `None` for one that lacks what a delivery has.
fn describe(forge: ForgeKind, repository: &str, listed: &Value) -> Option<OpenRequest> {
    let text = |path: &str| listed.pointer(path).and_then(Value::as_str);
    if forge == ForgeKind::Gitlab {
        let (number, revision) = (listed.get("iid")?.as_u64()?, text("/sha")?.to_owned());
        let body = json!({
            "object_kind": "merge_request",
            "user": listed.get("author"),
            "project": { "path_with_namespace": repository },
            "object_attributes": {
                "action": "open", "iid": number, "title": text("/title")?,
                "author_id": listed.pointer("/author/id"), "draft": listed.get("draft"),
                "source_branch": text("/source_branch")?, "target_branch": text("/target_branch")?,
                "source_project_id": listed.get("source_project_id"),
                "target_project_id": listed.get("target_project_id"),
                "last_commit": { "id": revision },
            },
        });
        return Some(OpenRequest { number, revision, event: "merge_request", body });
    }
    let (number, revision) = (listed.get("number")?.as_u64()?, text("/head/sha")?.to_owned());
    let body = json!({
        "action": "opened", "number": number,
        "repository": { "full_name": repository },
        "sender": listed.get("user"),
        "pull_request": {
            "title": text("/title")?, "user": listed.get("user"), "draft": listed.get("draft"),
            "head": {
                "ref": text("/head/ref")?, "sha": revision,
                "repo": { "full_name": text("/head/repo/full_name") },
            },
            "base": {
                "ref": text("/base/ref")?,
                "repo": { "full_name": text("/base/repo/full_name")? },
            },
        },
    });
    Some(OpenRequest { number, revision, event: "pull_request", body })
}

/// That a request is open no more, as a delivery: event and body.
#[must_use]
pub fn describe_closed(
    forge: ForgeKind,
    repository: &str,
    (number, revision): (u64, &str),
) -> (&'static str, Value) {
    if forge == ForgeKind::Gitlab {
        let body = json!({
            "object_kind": "merge_request",
            "project": { "path_with_namespace": repository },
            "object_attributes": {
                "action": "close", "iid": number, "title": "", "source_branch": "",
                "target_branch": "", "source_project_id": 0, "target_project_id": 0,
                "last_commit": { "id": revision },
            },
        });
        return ("merge_request", body);
    }
    let repo = json!({ "full_name": repository });
    let body = json!({
        "action": "closed", "number": number, "repository": repo,
        "pull_request": {
            "title": "", "head": { "ref": "", "sha": revision, "repo": repo },
            "base": { "ref": "", "repo": repo },
        },
    });
    ("pull_request", body)
}

/// The number of the request whose head a ref is.
#[must_use]
pub fn request_of_ref(r#ref: &str) -> Option<u64> {
    let prefixes = ["refs/pull/", "refs/merge-requests/"];
    let rest = prefixes.iter().find_map(|it| r#ref.strip_prefix(it))?;
    rest.strip_suffix("/head")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::{DeliveryKind, PullRequestAction, read};

    #[test]
    fn what_a_list_says_reads_as_the_delivery_that_was_lost() {
        let github = json!({
            "number": 3, "title": "Umbrellas", "user": { "id": 9, "login": "eve" }, "draft": true,
            "head": { "ref": "topic", "sha": "22", "repo": { "full_name": "eve/web" } },
            "base": { "ref": "main", "repo": { "full_name": "shop/web" } },
        });
        let gitlab = json!({
            "iid": 3, "title": "Umbrellas", "author": { "id": 9, "username": "eve" }, "sha": "22",
            "source_branch": "topic", "target_branch": "main", "draft": true,
            "source_project_id": 2, "target_project_id": 1,
        });
        for (forge, listed) in [
            (ForgeKind::Github, &github),
            (ForgeKind::Gitea, &github),
            (ForgeKind::Gitlab, &gitlab),
        ] {
            let found = describe(forge, "shop/web", listed).unwrap();
            let delivery = read(forge, found.event, &found.body.to_string()).unwrap();
            assert_eq!(delivery.repository, "shop/web");
            let DeliveryKind::PullRequest(request) = delivery.kind else { panic!("{forge}") };
            assert_eq!((request.number, request.revision.as_str()), (3, "22"));
            assert_eq!((request.head.as_str(), request.base.as_str()), ("topic", "main"));
            assert_eq!((request.author.id.as_str(), request.author.login.as_str()), ("9", "eve"));
            assert!(request.is_fork && request.is_draft && request.action.brings_code());
        }
    }

    #[test]
    fn a_request_of_a_fork_that_is_gone_is_a_forks() {
        let listed = json!({
            "number": 3, "title": "x", "head": { "ref": "main", "sha": "22", "repo": null },
            "base": { "ref": "main", "repo": { "full_name": "shop/web" } },
        });
        let found = describe(ForgeKind::Github, "shop/web", &listed).unwrap();
        let delivery = read(ForgeKind::Github, found.event, &found.body.to_string()).unwrap();
        let DeliveryKind::PullRequest(request) = delivery.kind else { panic!() };
        assert!(request.is_fork);
    }

    #[test]
    fn a_closed_request_reads_so_and_refs_name_their_request() {
        for forge in [ForgeKind::Github, ForgeKind::Gitlab] {
            let (event, body) = describe_closed(forge, "shop/web", (3, "22"));
            let read = read(forge, event, &body.to_string()).unwrap();
            let DeliveryKind::PullRequest(request) = read.kind else { panic!("{forge}") };
            assert_eq!((request.action, request.number), (PullRequestAction::Closed, 3));
        }
        assert_eq!(request_of_ref("refs/pull/12/head"), Some(12));
        assert_eq!(request_of_ref("refs/merge-requests/7/head"), Some(7));
        assert_eq!(request_of_ref("refs/heads/pull/12/head"), None);
    }
}
