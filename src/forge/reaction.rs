//! What a comment is answered with: a small picture, so that nobody gets another mail. GitHub's
//! (<https://docs.github.com/rest/reactions/reactions>), Gitea's after its model, and GitLab's
//! (<https://docs.gitlab.com/api/emoji_reactions/>).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::json;

use super::client::{Api, Client, PostError};
use super::delivery::Comment;
use crate::model::{ForgeKind, Timestamp};

/// What came of a comment's commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// They were carried out.
    Done,
    /// They were refused, or nothing waits for them.
    Refused,
}

impl Reaction {
    fn github(self) -> &'static str {
        match self {
            Self::Done => "+1",
            Self::Refused => "confused",
        }
    }

    fn gitlab(self) -> &'static str {
        match self {
            Self::Done => "thumbsup",
            Self::Refused => "confused",
        }
    }
}

impl Client {
    /// Puts a reaction below a comment of a request.
    pub async fn react(
        &self,
        comment: &Comment,
        reaction: Reaction,
        now: Timestamp,
    ) -> Result<(), PostError> {
        if comment.id.is_empty() {
            return Ok(());
        }
        let base = Self::base_of(self.forge, &self.base);
        let api = Api { outgoing: &self.outgoing, base, token: &self.token, now };
        let (repository, id) = (&self.repository, &comment.id);
        match self.forge {
            ForgeKind::Github | ForgeKind::Gitea => {
                let path = format!("/repos/{repository}/issues/comments/{id}/reactions");
                let body = json!({ "content": reaction.github() });
                api.call(Method::POST, &path, Some(body), self.authorization()).await.map(drop)
            }
            ForgeKind::Gitlab => {
                let project = utf8_percent_encode(repository, NON_ALPHANUMERIC);
                let number = comment.number;
                let path =
                    format!("/projects/{project}/merge_requests/{number}/notes/{id}/award_emoji");
                let body = json!({ "name": reaction.gitlab() });
                api.call(Method::POST, &path, Some(body), self.authorization()).await.map(drop)
            }
            ForgeKind::Git => Ok(()),
        }
    }
}
