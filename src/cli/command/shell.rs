//! `trunkline shell`: a person looks around where a stage failed.

use std::process::Stdio;

use tokio::process::Command;

use crate::cli::drive::{executor, standing};
use crate::cli::failure::{Broken, Exit, Usage};
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::config::ExecutorKind;
use crate::model::{AttemptName, StageIndex};
use crate::runs::LoadedRun;

/// Label of the executor with the state folder.
const INSTANCE_LABEL: &str = "trunkline.instance";
/// Label of the executor that holds the attempt's slug.
const ATTEMPT_LABEL: &str = "trunkline.attempt";
/// Where containers have the workspace.
const WORKSPACE: &str = "/workspace";

/// Arguments of `trunkline shell`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The shell has the files of the failed container, its workspace and its user, and the stage's environment but
no secrets. Containers of failed stages are kept for a day when `trunkline run` ran on a terminal or with
`--keep`.

Examples:
  trunkline shell last unit
  trunkline shell 12 'unit (3.11)' -- ls -la out")]
pub struct ShellArgs {
    /// The run: `last` (of this repository), its number, or the beginning of its id
    pub run: String,
    /// The stage
    pub stage: String,
    /// What to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Enters the container.
pub async fn execute(session: &Session, args: &ShellArgs) -> anyhow::Result<Exit> {
    let state = State::open(&session.settings).await?;
    let row = super::find_run(session, &state, &args.run).await?;
    let loaded = state.runs.load(&row.id).await?;
    let run = standing::view_of(session, &state, &loaded);
    let index = super::find_stage(&run, &args.stage)?;
    if executor::kind_for(session, &state, &row.id, None) == ExecutorKind::Host {
        let message = format!("run #{} ran on the host, without containers", row.number);
        return Err(Usage::new(message, "run its command in your own shell").into());
    }
    let host = session.settings.docker_host.clone();
    let docker = Docker { host, instance: state.instance.clone() };
    let container = kept_container(&docker, &loaded, index).await?;
    let image = docker.answer(&["commit", &container]).await?;
    let exit = enter(&docker, &image, &container, (&environment(&loaded, index), args)).await;
    // The image was only made to start from the state of the container.
    docker.answer(&["rmi", "--force", "--no-prune", &image]).await?;
    exit
}

/// The last of the stage's containers that is still there.
async fn kept_container(
    docker: &Docker,
    loaded: &LoadedRun,
    stage: StageIndex,
) -> anyhow::Result<String> {
    let attempts = loaded.run.stage(stage).map_or(0, |it| it.attempts.len());
    let key = loaded.run.plan().stages.get(stage.as_usize()).map_or("?", |it| it.key.as_str());
    for attempt in (1..=u32::try_from(attempts).unwrap_or(0)).rev() {
        let name = AttemptName { run: loaded.row.id.clone(), stage, attempt };
        if let Some(container) = last_segment(docker, &name.slug()).await? {
            return Ok(container);
        }
    }
    let number = loaded.row.number;
    let message = format!("no container of `{key}` of run #{number} is kept");
    let word = crate::cli::view::shell_word(key);
    let help =
        format!("`trunkline rerun {number} --stage {word} --keep` keeps it if it fails again");
    Err(Usage::new(message, help).into())
}

/// Containers of steps are named by a tag of the state folder, the attempt and a number; later ones have
/// seen more.
async fn last_segment(docker: &Docker, slug: &str) -> anyhow::Result<Option<String>> {
    let ours = format!("label={INSTANCE_LABEL}={}", docker.instance);
    let attempt = format!("label={ATTEMPT_LABEL}={slug}");
    let filters = ["--filter", &ours, "--filter", &attempt];
    let list = [&["ps", "--all", "--format", "{{.Names}} {{.Status}}"][..], &filters].concat();
    let names = docker.answer(&list).await?;
    let behind_tag = format!("{slug}-");
    let segment = |line: &str| -> Option<(u32, String)> {
        let (name, status) = line.split_once(' ')?;
        // One that was made ahead of its turn and never started has nothing to show.
        if status.starts_with("Created") {
            return None;
        }
        let (_tag, rest) = name.strip_prefix("trunkline-")?.split_once('-')?;
        Some((rest.strip_prefix(&behind_tag)?.parse().ok()?, name.to_owned()))
    };
    Ok(names.lines().filter_map(segment).max().map(|(_, name)| name))
}

/// The stage's environment as far as it can still be known. Never secrets.
fn environment(loaded: &LoadedRun, stage: StageIndex) -> Vec<(String, String)> {
    let Some(planned) = loaded.run.plan().stages.get(stage.as_usize()) else { return Vec::new() };
    let scope = loaded.run.scope(stage);
    let resolved = planned
        .env
        .iter()
        .filter_map(|(name, template)| Some((name.clone(), template.resolve(&scope).ok()?)));
    resolved.collect()
}

async fn enter(
    docker: &Docker,
    image: &str,
    container: &str,
    (environment, args): (&[(String, String)], &ShellArgs),
) -> anyhow::Result<Exit> {
    use std::io::IsTerminal as _;
    let mut command = docker.command(&["run", "--rm", "--interactive"]);
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        command.arg("--tty");
    }
    command.args(["--volumes-from", container, "--workdir", WORKSPACE, "--entrypoint"]);
    for (name, value) in environment {
        command.env(name, value);
    }
    let (program, arguments) = match args.command.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("/bin/sh", &[][..]),
    };
    command.arg(program);
    for (name, _) in environment {
        command.args(["--env", name]);
    }
    command.arg(image).args(arguments);
    let status = command.status().await.map_err(|error| Docker::missing(&error))?;
    let code = status.code().and_then(|it| u8::try_from(it).ok()).unwrap_or(1);
    Ok(Exit::Program(code))
}

/// Docker's own command line: it knows how to hand a terminal over.
#[derive(Debug)]
struct Docker {
    host: Option<String>,
    /// The state folder whose containers are meant.
    instance: String,
}

impl Docker {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        if let Some(host) = &self.host {
            command.args(["--host", host]);
        }
        command.args(arguments);
        command
    }

    async fn answer(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command(arguments);
        let output = command.stdin(Stdio::null()).output().await;
        let output = output.map_err(|error| Self::missing(&error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let message = format!("`docker {}` failed: {said}", arguments.join(" "));
            return Err(
                Broken { message, help: "`trunkline doctor` may say more".to_owned() }.into()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn missing(error: &std::io::Error) -> anyhow::Error {
        let message = format!("`docker` could not be started: {error}");
        let help = "install Docker's command line, such as Debian's `docker.io`".to_owned();
        Broken { message, help }.into()
    }
}
