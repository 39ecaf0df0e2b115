//! `trunkline project`: the projects of a server.

mod settings;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::view::format;
use crate::model::Timestamp;

/// Arguments of `trunkline project`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  trunkline project list
  trunkline project create shop/web --address https://github.com/shop/web --forge github --forge-path shop/web
  trunkline project credential shop/web --token < token.txt
  trunkline project hook-secret shop/web     what to type in at the forge
  trunkline project notify shop/web          look at the remote now
  trunkline project change shop/web --branch trunk --poll 60
  trunkline project retention shop/web --days 30 --runs 100
  trunkline project badge shop/web --public")]
pub struct ProjectArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the projects of your teams
    List,
    /// Make a project
    Create(CreateArgs),
    /// Set, or remove, what the remote and the forge want to see
    Credential(CredentialArgs),
    /// Make a new webhook secret, and show it this once; the one before proves nothing from now on
    HookSecret(HookArgs),
    /// Have nothing start its runs any more; what has run stays
    Archive {
        /// The project
        #[arg(value_name = "TEAM/NAME")]
        project: Slug,
    },
    /// Have an archived project start runs again
    Unarchive {
        /// The project
        #[arg(value_name = "TEAM/NAME")]
        project: Slug,
    },
    /// Change what is named, and leave the rest
    Change(settings::ChangeArgs),
    /// Say how long its runs are kept
    Retention(settings::RetentionArgs),
    /// Show who may see its badges, or change that
    Badge(settings::BadgeArgs),
    /// Have the remote looked at now
    Notify {
        /// The project
        #[arg(value_name = "TEAM/NAME")]
        project: Slug,
    },
}

/// `team/name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug {
    /// Name of the team.
    pub team: String,
    /// Name of the project.
    pub name: String,
}

impl std::str::FromStr for Slug {
    type Err = Usage;

    fn from_str(text: &str) -> Result<Self, Usage> {
        let parts = text.split_once('/').filter(|(team, name)| !team.is_empty() && is_one(name));
        let (team, name) = parts.ok_or_else(|| Usage::new("must be `team/name`", ""))?;
        Ok(Self { team: team.to_owned(), name: name.to_owned() })
    }
}

fn is_one(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

impl std::fmt::Display for Slug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.team, self.name)
    }
}

impl Slug {
    /// Where the API has it, and what is below.
    #[must_use]
    pub fn below<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["projects", self.team.as_str(), self.name.as_str()], rest].concat()
    }
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Its team and its name
    #[arg(value_name = "TEAM/NAME")]
    project: Slug,
    /// Where the code is fetched from: an `https:`, `ssh:` or `file:///` address
    #[arg(long, value_name = "URL")]
    address: String,
    /// github, gitlab, gitea or git
    #[arg(long, value_name = "FORGE", default_value = "git")]
    forge: String,
    /// Base address of the forge's API [default: that of the public one]
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    forge_url: String,
    /// `owner/name` at the forge
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    forge_path: String,
    /// The trunk
    #[arg(long, value_name = "NAME", default_value = "main")]
    branch: String,
    /// Higher is served first within the team
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true)]
    priority: i64,
    /// How often the remote is asked for news, in seconds; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    poll: u32,
}

#[derive(Debug, clap::Args)]
struct CredentialArgs {
    /// The project
    #[arg(value_name = "TEAM/NAME")]
    project: Slug,
    /// A token, for the remote over HTTPS and for statuses; asked for, or read from standard input
    #[arg(long)]
    token: bool,
    /// Login that goes with the token [default: what the forge wants there]
    #[arg(long, value_name = "LOGIN", requires = "token")]
    user: Option<String>,
    /// A private key without a passphrase, for the remote over SSH
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// Remove what is there
    #[arg(long, conflicts_with_all = ["token", "ssh_key"])]
    remove: bool,
}

#[derive(Debug, clap::Args)]
struct HookArgs {
    /// The project
    #[arg(value_name = "TEAM/NAME")]
    project: Slug,
    /// Take a secret that the forge has made; asked for, or read from standard input
    #[arg(long)]
    given: bool,
}

/// A project.
#[derive(Debug, Serialize, Deserialize)]
struct Project {
    id: String,
    team: String,
    name: String,
    address: String,
    forge: String,
    #[serde(default)]
    forge_url: String,
    forge_path: String,
    default_branch: String,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    poll_seconds: i64,
    created_at: Timestamp,
    #[serde(default)]
    archived_at: Option<Timestamp>,
}

/// Where a forge sends its deliveries, and what proves them.
#[derive(Debug, Deserialize)]
struct Hook {
    path: String,
    secret: String,
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &ProjectArgs) -> anyhow::Result<Exit> {
    let remote = Remote::required(session)?;
    match &args.action {
        Action::List => list(session, &remote).await?,
        Action::Create(args) => create(session, &remote, args).await?,
        Action::Credential(args) => set_credential(session, &remote, args).await?,
        Action::HookSecret(args) => rotate_hook_secret(session, &remote, args).await?,
        Action::Archive { project } => {
            remote.client.order(&Call::delete(&project.below(&[]))).await?;
            session.output.told(&format!("nothing starts runs of `{project}` any more"))?;
        }
        Action::Unarchive { project } => settings::unarchive(session, &remote, project).await?,
        Action::Change(args) => settings::change(session, &remote, args).await?,
        Action::Retention(args) => settings::retention(session, &remote, args).await?,
        Action::Badge(args) => settings::badge(session, &remote, args).await?,
        Action::Notify { project } => {
            remote.client.order(&Call::post(&project.below(&["notify"]))).await?;
            session.output.told(&format!("the remote of `{project}` is looked at"))?;
        }
    }
    Ok(Exit::Passed)
}

async fn list(session: &Session, remote: &Remote) -> anyhow::Result<()> {
    let projects: Vec<Project> = remote.client.list(&Call::get(&["projects"]), ROWS_MAX).await?;
    if session.output.json {
        return Ok(session.output.json(&projects)?);
    }
    if projects.is_empty() {
        return Ok(session.output.line("no projects; `trunkline project create` makes one")?);
    }
    let slug = |it: &Project| format!("{}/{}", it.team, it.name);
    let columns = projects.iter().map(|it| format::width(&slug(it))).max().unwrap_or(0);
    for it in &projects {
        let (slug, forge) = (slug(it), format::pad(&it.forge, 6));
        let slug = format::pad(&slug, columns);
        let archived = if it.archived_at.is_some() { ", archived" } else { "" };
        let (address, branch) = (&it.address, &it.default_branch);
        session.output.line(&format!("{slug}  {forge}  {address} ({branch}{archived})"))?;
    }
    Ok(())
}

async fn create(session: &Session, remote: &Remote, args: &CreateArgs) -> anyhow::Result<()> {
    let body = serde_json::json!({
        "team": args.project.team, "name": args.project.name, "address": args.address,
        "forge": args.forge, "forge_url": args.forge_url, "forge_path": args.forge_path,
        "default_branch": args.branch, "priority": args.priority, "poll_seconds": args.poll,
    });
    let made: Project = remote.client.fetch(&Call::post(&["projects"]).body(&body)).await?;
    if session.output.json {
        return Ok(session.output.json(&made)?);
    }
    session.output.line(&format!("made `{}`", args.project))?;
    let next = match made.forge.as_str() {
        "git" => format!("project notify {}", args.project),
        _ => format!("project hook-secret {}", args.project),
    };
    Ok(session.output.line(&format!("next: `{}`", remote.command(&next)))?)
}

async fn set_credential(
    session: &Session,
    remote: &Remote,
    args: &CredentialArgs,
) -> anyhow::Result<()> {
    if !args.token && args.ssh_key.is_none() && !args.remove {
        let help = "say `--token`, `--ssh-key FILE` or `--remove`";
        return Err(Usage::new("no credential is given", help).into());
    }
    let token = if args.token { Some(access::read_hidden("Token")?) } else { None };
    let ssh_key = args.ssh_key.as_ref().map(|file| {
        std::fs::read_to_string(session.folder.join(file)).map_err(|error| {
            let message = format!("`{}` cannot be read: {error}", file.display());
            Usage::new(message, "`--ssh-key` names a file with a private key")
        })
    });
    let body = serde_json::json!({
        "token": token, "ssh_key": ssh_key.transpose()?,
        "user": args.user.clone().unwrap_or_default(),
    });
    let call = Call::put(&args.project.below(&["credential"])).body(&body);
    remote.client.order(&call).await?;
    let what = if args.remove { "has no credential now" } else { "has a new credential" };
    session.output.told(&format!("`{}` {what}", args.project))?;
    Ok(())
}

async fn rotate_hook_secret(
    session: &Session,
    remote: &Remote,
    args: &HookArgs,
) -> anyhow::Result<()> {
    let secret = if args.given { Some(access::read_hidden("Secret")?) } else { None };
    let body = serde_json::json!({ "secret": secret });
    let call = Call::post(&args.project.below(&["hook-secret"])).body(&body);
    let hook: Hook = remote.client.fetch(&call).await?;
    let url = format!("{}{}", remote.client.address(), hook.path);
    if session.output.json {
        let shown = serde_json::json!({ "url": url, "path": hook.path, "secret": hook.secret });
        return Ok(session.output.json(&shown)?);
    }
    session.output.line(&format!("address: {url}"))?;
    // Whoever gave it knows it.
    if !args.given {
        session.output.line(&format!("secret: {}", hook.secret))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_with_its_team() {
        let slug: Slug = "shop/web".parse().unwrap();
        assert_eq!(slug.below(&["notify"]), ["projects", "shop", "web", "notify"]);
        for wrong in ["shop", "shop/", "/web", "shop/web/x", ""] {
            assert!(wrong.parse::<Slug>().is_err(), "{wrong}");
        }
    }
}
