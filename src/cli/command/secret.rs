//! `trunkline secret`: the secrets of teams and projects of a server. They are set and never shown.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::project::Slug;
use crate::cli::access;
use crate::cli::failure::{Exit, Usage};
use crate::cli::output;
use crate::cli::remote::client::ROWS_MAX;
use crate::cli::remote::{Call, Remote};
use crate::cli::session::Session;
use crate::cli::view::format;
use crate::model::Timestamp;
use crate::secrets::rules::Rules;

/// Arguments of `trunkline secret`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A value is asked for, or is what comes from standard input without the line feed at its end.

Examples:
  trunkline secret list shop/web
  trunkline secret set shop/web prod/api-key --environment live --event push --branch main
  trunkline secret set shop REGISTRY_TOKEN < token.txt     of all projects of the team
  trunkline secret set shop/web SIGNING_KEY --from-file key.pem
  trunkline secret remove shop/web prod/api-key --environment live")]
pub struct SecretArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List names, rules and who changed them
    List {
        /// A team or a project
        #[arg(value_name = "TEAM[/NAME]")]
        holder: Holder,
    },
    /// Set one, or give it another value
    Set(SetArgs),
    /// Remove one
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

/// A team, or one of its projects.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holder {
    Team(String),
    Project(Slug),
}

impl std::str::FromStr for Holder {
    type Err = Usage;

    fn from_str(text: &str) -> Result<Self, Usage> {
        if text.contains('/') {
            return text.parse().map(Self::Project);
        }
        let is_empty = text.is_empty();
        let missing = || Usage::new("must be a team, or `team/name` for a project", "");
        (!is_empty).then(|| Self::Team(text.to_owned())).ok_or_else(missing)
    }
}

impl Holder {
    fn place(&self) -> Vec<&str> {
        match self {
            Self::Team(team) => vec!["teams", team, "secrets"],
            Self::Project(project) => project.below(&["secrets"]),
        }
    }
}

#[derive(Debug, clap::Args)]
struct Which {
    /// A team or a project
    #[arg(value_name = "TEAM[/NAME]")]
    holder: Holder,
    /// Its name
    name: String,
    /// Only for stages that deploy to this environment
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    environment: String,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    #[command(flatten)]
    which: Which,
    /// Only for runs that this started (repeatable): push, `pull_request`, tag, schedule, manual
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<String>,
    /// Only for branches that this glob matches (repeatable)
    #[arg(long = "branch", value_name = "GLOB")]
    branches: Vec<String>,
    /// Only in images that this glob matches (repeatable)
    #[arg(long = "image", value_name = "GLOB")]
    images: Vec<String>,
    /// Read the value from a file
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    from_file: Option<PathBuf>,
    /// The value; others on this machine may see it in the list of processes
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    value: Option<String>,
}

/// A secret, without its value.
#[derive(Debug, Serialize, Deserialize)]
struct Secret {
    name: String,
    environment: String,
    rules: Rules,
    version: i64,
    changed_by: String,
    changed_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Saved {
    version: i64,
}

/// Does what was asked.
pub async fn execute(session: &Session, args: &SecretArgs) -> anyhow::Result<Exit> {
    let remote = Remote::required(session)?;
    match &args.action {
        Action::List { holder } => list(session, &remote, holder).await?,
        Action::Set(args) => set(session, &remote, args).await?,
        Action::Remove { which } => {
            let call = Call::delete(&which.holder.place()).query("name", &which.name);
            remote.client.order(&call.query("environment", &which.environment)).await?;
            session.output.told(&format!("removed `{}`", which.name))?;
        }
    }
    Ok(Exit::Passed)
}

async fn list(session: &Session, remote: &Remote, holder: &Holder) -> anyhow::Result<()> {
    let secrets: Vec<Secret> = remote.client.list(&Call::get(&holder.place()), ROWS_MAX).await?;
    if session.output.json {
        return Ok(session.output.json(&secrets)?);
    }
    if secrets.is_empty() {
        session.output.line("no secrets; `trunkline secret set` makes one")?;
    }
    let columns = secrets.iter().map(|it| format::width(&it.name)).max().unwrap_or(0);
    for it in &secrets {
        let mut words = vec![format!("version {} by {}", it.version, it.changed_by)];
        words.push(session.output.date_time(it.changed_at));
        let environment = Some(&it.environment).filter(|it| !it.is_empty());
        words.extend(environment.map(|it| format!("environment {it}")));
        for (what, rules) in [
            ("events", &it.rules.events),
            ("branches", &it.rules.branches),
            ("images", &it.rules.images),
        ] {
            words.extend((!rules.is_empty()).then(|| format!("{what} {}", rules.join(" "))));
        }
        let name = format::pad(&it.name, columns);
        session.output.line(&format!("{name}  {}", words.join(", ")))?;
    }
    Ok(())
}

async fn set(session: &Session, remote: &Remote, args: &SetArgs) -> anyhow::Result<()> {
    let Which { holder, name, environment } = &args.which;
    let rules = Rules {
        events: args.events.clone(),
        branches: args.branches.clone(),
        images: args.images.clone(),
    };
    let body = serde_json::json!({
        "name": name, "environment": environment, "value": value(session, args)?, "rules": rules,
    });
    let saved: Saved = remote.client.fetch(&Call::put(&holder.place()).body(&body)).await?;
    if session.output.json {
        let shown = serde_json::json!({ "name": name, "version": saved.version });
        return Ok(session.output.json(&shown)?);
    }
    Ok(session.output.line(&format!("`{name}` is set, version {}", saved.version))?)
}

fn value(session: &Session, args: &SetArgs) -> anyhow::Result<String> {
    if let Some(value) = &args.value {
        output::note("a value on the command line can be seen by others of this machine");
        return Ok(value.clone());
    }
    let Some(file) = &args.from_file else { return access::read_value("Value") };
    let read = std::fs::read_to_string(session.folder.join(file)).map_err(|error| {
        let message = format!("`{}` cannot be read: {error}", file.display());
        Usage::new(message, "`--from-file` names a text file")
    });
    Ok(read?)
}
