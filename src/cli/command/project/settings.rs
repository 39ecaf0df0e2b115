//! What of a project can be changed, and how long and for whom things of it are kept and shown.

use serde::{Deserialize, Serialize};

use super::{Project, Slug};
use crate::cli::failure::Usage;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;

/// What changes of a project; what is not named stays.
#[derive(Debug, clap::Args, Serialize)]
pub(super) struct ChangeArgs {
    /// The project
    #[arg(value_name = "TEAM/NAME")]
    #[serde(skip)]
    project: Slug,
    /// Where the code is fetched from: an `https:`, `ssh:` or `file:` address
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// github, gitlab, gitea or git
    #[arg(long, value_name = "FORGE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    forge: Option<String>,
    /// Base address of the forge's API; empty for that of the public one
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    forge_url: Option<String>,
    /// `owner/name` at the forge, or empty
    #[arg(long, value_name = "PATH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    forge_path: Option<String>,
    /// The trunk
    #[arg(long, value_name = "NAME")]
    #[serde(rename = "default_branch", skip_serializing_if = "Option::is_none")]
    branch: Option<String>,
    /// Higher is served first within the team
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    /// How often the remote is asked for news, in seconds; 0 for never
    #[arg(long, value_name = "SECONDS")]
    #[serde(rename = "poll_seconds", skip_serializing_if = "Option::is_none")]
    poll: Option<u32>,
}

/// How long runs are kept.
#[derive(Debug, clap::Args)]
pub(super) struct RetentionArgs {
    /// The project
    #[arg(value_name = "TEAM/NAME")]
    project: Slug,
    /// Finished runs go after so many days; 0 for never
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// The newest so many runs stay whatever their age
    #[arg(long, value_name = "N")]
    runs: Option<u32>,
    /// As the server's settings say
    #[arg(long, conflicts_with_all = ["days", "runs"])]
    server_settings: bool,
}

/// Who may see the badges.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a word of the command line")]
pub(super) struct BadgeArgs {
    /// The project
    #[arg(value_name = "TEAM/NAME")]
    project: Slug,
    /// Everybody may see them
    #[arg(long)]
    public: bool,
    /// Only members of the team, and who has the token if there is one
    #[arg(long, conflicts_with = "public")]
    private: bool,
    /// Make a new token, which the address of a picture has; the one before shows nothing any more
    #[arg(long)]
    new_token: bool,
    /// Remove the token
    #[arg(long, conflicts_with = "new_token")]
    remove_token: bool,
}

/// Who may see the badges, as the server has it.
#[derive(Debug, Serialize, Deserialize)]
struct Badge {
    public: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    example: String,
}

/// Changes what is named.
pub(super) async fn change(
    session: &Session,
    remote: &Remote,
    args: &ChangeArgs,
) -> anyhow::Result<()> {
    let body = serde_json::to_value(args)?;
    if body.as_object().is_none_or(serde_json::Map::is_empty) {
        let help = "say what changes, such as `--branch main`";
        return Err(Usage::new("nothing is to be changed", help).into());
    }
    let changed: Project =
        remote.client.fetch(&Call::patch(&args.project.below(&[])).body(&body)).await?;
    if session.output.json {
        return Ok(session.output.json(&changed)?);
    }
    Ok(session.output.line(&format!("`{}` is changed", args.project))?)
}

/// Lets a project start runs again.
pub(super) async fn unarchive(
    session: &Session,
    remote: &Remote,
    project: &Slug,
) -> anyhow::Result<()> {
    let body = serde_json::json!({ "archived": false });
    remote.client.order(&Call::patch(&project.below(&[])).body(&body)).await?;
    Ok(session.output.told(&format!("`{project}` starts runs again"))?)
}

/// Says how long runs are kept.
pub(super) async fn retention(
    session: &Session,
    remote: &Remote,
    args: &RetentionArgs,
) -> anyhow::Result<()> {
    if args.days.is_none() && args.runs.is_none() && !args.server_settings {
        let help = "say `--days N`, `--runs N` or `--server-settings`";
        return Err(Usage::new("nothing is to be changed", help).into());
    }
    let mut body = serde_json::Map::new();
    for (name, value) in [("runs_days", args.days), ("runs_count", args.runs)] {
        body.extend(value.map(|it| (name.to_owned(), it.into())));
    }
    let call = Call::put(&args.project.below(&["retention"])).body(&body);
    remote.client.order(&call).await?;
    let what = match (args.days, args.runs) {
        (None, None) => "as the server's settings say".to_owned(),
        (Some(0), _) => "for ever".to_owned(),
        (Some(days), None) => format!("for {days} days"),
        (None, Some(runs)) => format!("by the server's settings, and the newest {runs} always"),
        (Some(days), Some(runs)) => format!("for {days} days, and the newest {runs} always"),
    };
    Ok(session.output.told(&format!("runs of `{}` are kept {what}", args.project))?)
}

/// Shows who may see the badges, or changes that.
pub(super) async fn badge(
    session: &Session,
    remote: &Remote,
    args: &BadgeArgs,
) -> anyhow::Result<()> {
    let path = args.project.below(&["badge"]);
    let mut badge: Badge = remote.client.fetch(&Call::get(&path)).await?;
    if args.public || args.private || args.new_token || args.remove_token {
        let token = match (args.new_token, args.remove_token) {
            (true, _) => "rotate",
            (false, true) => "remove",
            (false, false) => "keep",
        };
        let is_public = args.public || (badge.public && !args.private);
        let body = serde_json::json!({ "public": is_public, "token": token });
        badge = remote.client.fetch(&Call::put(&path).body(&body)).await?;
    }
    if session.output.json {
        return Ok(session.output.json(&badge)?);
    }
    let who = match (badge.public, badge.token.is_some()) {
        (true, _) => "everybody",
        (false, true) => "members of the team, and who has the token",
        (false, false) => "members of the team",
    };
    session.output.line(&format!("seen by: {who}"))?;
    let (server, example) = (remote.client.address(), &badge.example);
    Ok(session.output.line(&format!("picture of the pipeline `ci`: {server}{example}"))?)
}
