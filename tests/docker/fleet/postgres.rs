//! A Postgres of a test's own, that can be restarted.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(super) struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

impl Cluster {
    /// `None` where there is no Postgres to start, which is said aloud.
    pub(super) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(!crate::docker::is_ci(), "there is no Postgres to start");
            eprintln!("SKIPPED: there is no Postgres to start");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { programs, folder, port };
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-A", "trust", "-U", "ci", "--no-sync"]);
        cluster.control("start");
        Some(cluster)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://ci@127.0.0.1:{}/postgres", self.port)
    }

    /// As after a crash: nothing is waited for.
    pub(super) fn restart(&self) {
        self.control("restart");
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn control(&self, verb: &str) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=200",
            self.port,
            self.folder.path().display()
        );
        let log = self.folder.path().join("log").display().to_string();
        let data = self.data();
        let arguments = [verb, "-D", &data, "-w", "-m", "immediate", "-l", &log, "-o", &options];
        let skipped: &[&str] = if verb == "start" { &["-m", "immediate"] } else { &[] };
        let arguments: Vec<_> = arguments.into_iter().filter(|it| !skipped.contains(it)).collect();
        self.run("pg_ctl", &arguments);
    }

    /// Postgres refuses to run as root.
    fn run(&self, program: &str, arguments: &[&str]) {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{} {arguments:?}", program.display());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.data();
        let stop = || self.run("pg_ctl", &["stop", "-D", &data, "-m", "immediate"]);
        let _stopped_already = std::panic::catch_unwind(std::panic::AssertUnwindSafe(stop));
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// The newest version that is installed.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<_> = versions.flatten().map(|it| it.path().join("bin")).collect();
    found.retain(|it: &PathBuf| Path::new(it).join("initdb").exists());
    found.sort();
    found.pop()
}
