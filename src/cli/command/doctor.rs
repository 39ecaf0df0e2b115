//! `trunkline doctor`: is everything there that a run needs, and if not, what to do.

use std::path::Path;

use bollard::Docker;
use bollard::models::SystemInfo;
use serde::Serialize;

use crate::cli::drive::executor;
use crate::cli::failure::Exit;
use crate::cli::session::Session;
use crate::cli::state::State;
use crate::cli::view::format;
use crate::cli::view::paint::Paint;
use crate::source::Repository;

/// The oldest Docker API that we speak (Docker 20.10).
const API_MIN: (u32, u32) = (1, 41);
/// Seconds that the daemon may take to answer.
const PATIENCE_SECONDS: u64 = 10;
/// Below this much free space, runs are likely to fail soon.
const SPACE_WARN_BYTES: u64 = 5_000_000_000;
const SPACE_FAIL_BYTES: u64 = 500_000_000;

/// Arguments of `trunkline doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The exit code is 3 when something is missing without which no run can work.

Example:
  trunkline doctor")]
pub struct DoctorArgs {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warning,
    Failure,
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    level: Level,
    subject: &'static str,
    text: String,
    /// What to do; empty when nothing needs to be done.
    fix: String,
}

impl Finding {
    fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, subject, text: text.into(), fix: String::new() }
    }

    fn warning(subject: &'static str, text: impl Into<String>, fix: &str) -> Self {
        Self { level: Level::Warning, subject, text: text.into(), fix: fix.to_owned() }
    }

    fn failure(subject: &'static str, text: impl Into<String>, fix: &str) -> Self {
        Self { level: Level::Failure, subject, text: text.into(), fix: fix.to_owned() }
    }

    fn shown(&self, paint: Paint) -> String {
        let glyph = match self.level {
            Level::Ok => paint.green("✓"),
            Level::Warning => paint.yellow("!"),
            Level::Failure => paint.red("✗"),
        };
        let fix =
            if self.fix.is_empty() { String::new() } else { format!("\n    fix: {}", self.fix) };
        format!("{glyph} {}: {}{fix}", self.subject, self.text)
    }
}

/// Looks at everything.
pub async fn execute(session: &Session, _args: &DoctorArgs) -> anyhow::Result<Exit> {
    let mut findings = docker(session).await;
    findings.push(state(session).await);
    findings.push(space(&session.settings.state_folder));
    findings.push(repository(&session.folder));
    if session.output.json {
        session.output.json(&findings)?;
    } else {
        for finding in &findings {
            session.output.line(&finding.shown(session.output.paint))?;
        }
    }
    let is_broken = findings.iter().any(|it| it.level == Level::Failure);
    Ok(if is_broken { Exit::Broken } else { Exit::Passed })
}

async fn docker(session: &Session) -> Vec<Finding> {
    let socket = match executor::socket(&session.settings) {
        Ok(socket) => socket,
        Err(error) => return vec![Finding::failure("docker", error.to_string(), &error.help)],
    };
    match ask(&socket).await {
        Ok((api, info, images)) => {
            vec![version(&api, &info), storage(&info), control_groups(&info), image_count(images)]
        }
        Err(error) => vec![unreachable(&socket, &error)],
    }
}

async fn ask(socket: &str) -> Result<(String, SystemInfo, usize), bollard::errors::Error> {
    let docker = Docker::connect_with_unix(socket, PATIENCE_SECONDS, bollard::API_DEFAULT_VERSION)?;
    let docker = docker.negotiate_version().await?;
    let api = docker.version().await?.api_version.unwrap_or_default();
    let info = docker.info().await?;
    let images = docker.list_images(None::<bollard::query_parameters::ListImagesOptions>).await?;
    Ok((api, info, images.len()))
}

fn unreachable(socket: &str, error: &bollard::errors::Error) -> Finding {
    let said = std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source())
        .last()
        .map_or_else(String::new, ToString::to_string);
    let text = format!("no answer at `{socket}`: {said}");
    let fix = match std::fs::metadata(socket) {
        Err(_) => {
            "install and start it (Debian: `apt-get install docker.io`, then `systemctl start docker`), \
             or set `DOCKER_HOST`; `--executor host` runs stages without it"
        }
        Ok(_) if said.to_lowercase().contains("permission") => {
            "let your user reach it: `usermod -aG docker $USER`, then sign in again"
        }
        Ok(_) => "start it: `systemctl start docker`, or run `dockerd`",
    };
    Finding::failure("docker", text, fix)
}

fn version(api: &str, info: &SystemInfo) -> Finding {
    let engine = info.server_version.as_deref().unwrap_or("of unknown version");
    let text = format!("Docker {engine}, API {api}");
    if parse_api(api).is_some_and(|it| it >= API_MIN) {
        Finding::ok("docker", text)
    } else {
        Finding::failure("docker", text, "Docker 20.10 (API 1.41) or newer is needed: upgrade it")
    }
}

fn parse_api(api: &str) -> Option<(u32, u32)> {
    let (major, minor) = api.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn storage(info: &SystemInfo) -> Finding {
    let driver = info.driver.as_deref().unwrap_or("unknown");
    match driver {
        "overlay2" | "overlayfs" | "btrfs" | "zfs" => Finding::ok("storage driver", driver),
        _ => Finding::warning(
            "storage driver",
            format!("{driver}, which copies whole images for each container"),
            "set `\"storage-driver\": \"overlay2\"` in `/etc/docker/daemon.json`",
        ),
    }
}

fn control_groups(info: &SystemInfo) -> Finding {
    let version = info.cgroup_version.map_or_else(|| "1".to_owned(), |it| it.to_string());
    let cpus = info.ncpu.unwrap_or(0);
    let memory = format::bytes(u64::try_from(info.mem_total.unwrap_or(0)).unwrap_or(0));
    let text = format!("cgroup v{version}, {cpus} CPUs, {memory} memory");
    let limits =
        [("memory", info.memory_limit), ("pids", info.pids_limit), ("cpu", info.cpu_cfs_quota)];
    let missing: Vec<_> =
        limits.iter().filter(|(_, it)| *it == Some(false)).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Finding::ok("limits", text);
    }
    let text = format!("{text}; no limits on {}", missing.join(", "));
    let fix = "enable these cgroup controllers in the kernel, or `resources:` has no effect";
    Finding::warning("limits", text, fix)
}

fn image_count(images: usize) -> Finding {
    if images > 0 {
        return Finding::ok("images", format::count(images as u64, "image") + " on this machine");
    }
    let fix = "nothing to do where a registry can be reached; else load one: `docker load`, `docker import`";
    Finding::warning("images", "none on this machine: the first run pulls what it needs", fix)
}

async fn state(session: &Session) -> Finding {
    let folder = session.settings.state_folder.display().to_string();
    match State::open(&session.settings).await {
        Ok(_) => Finding::ok("state", format!("`{folder}` can be written to")),
        Err(error) => {
            let fix = "name another folder with `--state DIR` or `TRUNKLINE_STATE`";
            Finding::failure("state", format!("{error:#}"), fix)
        }
    }
}

fn space(folder: &Path) -> Finding {
    let existing = folder.ancestors().find(|it| it.exists()).unwrap_or(Path::new("/"));
    let Ok(disk) = rustix::fs::statvfs(existing) else {
        return Finding::warning("disk", "its free space cannot be read", "look with `df -h`");
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let text = format!("{} free for `{}`", format::bytes(free), folder.display());
    let fix = "make room: `trunkline gc`, `docker system prune`";
    match free {
        0..SPACE_FAIL_BYTES => Finding::failure("disk", text, fix),
        SPACE_FAIL_BYTES..SPACE_WARN_BYTES => Finding::warning("disk", text, fix),
        _ => Finding::ok("disk", text),
    }
}

fn repository(folder: &Path) -> Finding {
    match Repository::discover(folder) {
        Ok(it) => Finding::ok("repository", format!("`{}`", it.folder().display())),
        Err(error) => {
            let fix = error.help().unwrap_or_default();
            Finding::warning("repository", error.to_string(), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_is_compared_by_its_numbers() {
        let info = SystemInfo::default();
        assert_eq!(version("1.41", &info).level, Level::Ok);
        assert_eq!(version("1.100", &info).level, Level::Ok);
        assert_eq!(version("1.9", &info).level, Level::Failure);
        assert_eq!(version("", &info).level, Level::Failure);
    }

    #[test]
    fn a_finding_shows_its_fix_below() {
        let finding = Finding::failure("docker", "no answer", "start it");
        assert_eq!(finding.shown(Paint::default()), "✗ docker: no answer\n    fix: start it");
    }
}
