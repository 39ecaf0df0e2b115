//! A real bare repository, served over HTTP by `git http-backend`, and a clone that pushes to it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What the remote wants to see.
pub(crate) const TOKEN: &str = "a-token-for-git";

/// A remote on a port of its own.
pub(crate) struct Remote {
    pub(crate) address: String,
    folder: TempDir,
    _tasks: JoinSet<()>,
}

impl Remote {
    /// A remote whose `main` has these files.
    pub(crate) async fn start(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/web.git", listener.local_addr().unwrap());
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        git(&root, &["init", "-q", "--bare", "-b", "main", "web.git"]);
        git(&root.join("web.git"), &["config", "http.receivepack", "true"]);
        let router = Router::new().fallback(serve).with_state(root);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let remote = Self { address, folder, _tasks: tasks };
        git(remote.folder.path(), &["init", "-q", "-b", "main", "clone"]);
        remote.commit("first", files);
        remote.push("main").await;
        remote
    }

    /// Where the bare repository is.
    pub(crate) fn bare_folder(&self) -> PathBuf {
        self.folder.path().join("root/web.git")
    }

    fn clone_folder(&self) -> PathBuf {
        self.folder.path().join("clone")
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.clone_folder(), arguments)
    }

    /// Commits these files; gives the commit.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.clone_folder().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Pushes what is checked out to a ref of the remote, over HTTP.
    pub(crate) async fn push(&self, r#ref: &str) {
        let with_token = self.address.replace("http://", &format!("http://git:{TOKEN}@"));
        let refspec = format!("+HEAD:{ref}");
        let folder = self.clone_folder();
        let pushed = tokio::task::spawn_blocking(move || {
            git(&folder, &["push", "-q", &with_token, &refspec])
        });
        pushed.await.unwrap();
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// One request, by CGI (RFC 3875).
async fn serve(
    State(root): State<PathBuf>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name: header::HeaderName| {
        headers.get(name).map_or("", |it| it.to_str().unwrap()).to_owned()
    };
    let credential = text(header::AUTHORIZATION);
    let encoded = credential.strip_prefix("Basic ").unwrap_or_default();
    let shown = STANDARD.decode(encoded).unwrap_or_default();
    if !shown.ends_with(format!(":{TOKEN}").as_bytes()) {
        let wants = [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")];
        return (StatusCode::UNAUTHORIZED, wants).into_response();
    }
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "git")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (output, ()) = tokio::join!(child.wait_with_output(), async move {
        stdin.write_all(&body).await.ok();
    });
    let output = output.unwrap().stdout;
    let end = output.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let mut response = Response::new(axum::body::Body::from(output[end + 4..].to_vec()));
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            *response.status_mut() = value[..3].parse().unwrap();
        } else {
            let name: header::HeaderName = name.parse().unwrap();
            response.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    response
}
