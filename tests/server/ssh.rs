//! A remote over SSH: a real `sshd`, the key of the project, and a host whose key is remembered.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::deliveries::{PIPELINE, Scene};
use crate::support::skip;

/// Where `sshd` is, if it is here: it refuses to be called by a relative path.
fn sshd() -> Option<PathBuf> {
    let named = std::env::var_os("TEST_SSHD").map(PathBuf::from);
    let usual = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from);
    named.into_iter().chain(usual).find(|it| it.is_file())
}

fn key(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status();
    assert!(made.unwrap().success());
    path
}

/// A daemon on a port of its own, which lets one key in.
struct Daemon {
    child: Child,
    port: u16,
}

impl Daemon {
    fn start(program: &Path, folder: &Path, host_key: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.join(format!("sshd-{port}"));
        let mut file = std::fs::File::create(&config).unwrap();
        let folder = folder.display();
        write!(
            file,
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/{host_key}\nPidFile none\n\
             AuthorizedKeysFile {folder}/client.pub\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPermitRootLogin yes\n"
        )
        .unwrap();
        // It asks for this folder when it is root, and the package would have made it.
        let _is_there = std::fs::create_dir("/run/sshd");
        let mut command = Command::new(program);
        let command = command.args(["-D", "-e", "-f"]).arg(&config).stderr(Stdio::null());
        let daemon = Self { child: command.spawn().unwrap(), port };
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        let is_up = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            listens()
        });
        assert!(is_up, "`sshd` does not listen; `deploy/setup tools` makes what it needs");
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_over_ssh_lets_the_projects_key_in_and_no_other() {
    let Some(program) = sshd() else {
        return skip("`sshd` (`deploy/setup tools`)");
    };
    let scene = Scene::start("git", &[("pipelines/ci.yml", PIPELINE)]).await;
    let folder = tempfile::tempdir().unwrap();
    let client = key(folder.path(), "client");
    let stranger = key(folder.path(), "stranger");
    key(folder.path(), "host");
    let daemon = Daemon::start(&program, folder.path(), "host");
    let path = scene.remote.bare_folder();
    let address = format!("ssh://{}@127.0.0.1:{}{}", user(), daemon.port, path.display());
    let new = json!({ "team": "shop", "name": "ssh", "address": address, "forge": "git" });
    let made = scene.server.post(&scene.token, "/api/v1/projects", new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let store = &scene.server.app.store;
    let project = store.find_project_by_name("shop", "ssh").await.unwrap().unwrap();
    let projects = scene.server.app.triggers.projects();

    let set = async |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap();
        let path = "/api/v1/projects/shop/ssh/credential";
        let body = Some(json!({ "ssh_key": text }));
        let set = scene.server.call(&scene.token, Method::PUT, (path, body)).await;
        assert_eq!(set.status, StatusCode::NO_CONTENT);
        projects.list_remote(&project).await
    };
    let refused = set(&stranger).await.unwrap_err().to_string();
    assert!(refused.contains("the credential of the project is refused"), "{refused}");
    let refs = set(&client).await.unwrap();
    assert_eq!(refs["refs/heads/main"], scene.remote.head());
    projects.fetch(&project).await.unwrap();
    assert!(projects.mirror(&project.id).has(&scene.remote.head()));
    let mirrors = scene.server.folder.path().join("mirrors");
    let known = std::fs::read_to_string(mirrors.join("known_hosts")).unwrap();
    assert!(known.contains(&format!("[127.0.0.1]:{}", daemon.port)), "{known}");
    assert!(is_empty_of_keys(&mirrors).await, "no private key stays on the disk");
}

/// Waits for calls under way: the server looks at the remote by itself, too, with a key on the disk for that long.
async fn is_empty_of_keys(mirrors: &Path) -> bool {
    let is_key = |it: std::fs::DirEntry| it.file_name().to_string_lossy().starts_with("key-");
    for _ in 0..200 {
        if !std::fs::read_dir(mirrors).unwrap().flatten().any(is_key) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}
