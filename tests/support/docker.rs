//! What integration tests ask Docker about.

use std::path::Path;
use std::process::Command;

/// Whether Docker answers. What is not there is skipped aloud on a laptop and fails in CI.
pub(crate) fn is_here() -> bool {
    let output =
        Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]).output();
    let is_here = output.is_ok_and(|it| it.status.success());
    if !is_here {
        assert!(!is_ci(), "Docker does not answer; run `deploy/setup docker`");
        eprintln!("SKIPPED: Docker does not answer");
    }
    is_here
}

#[expect(clippy::disallowed_methods, reason = "tests have no `config`")]
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|it| it == "true")
}

/// Whether Docker answers and has an image that `deploy/images/build` makes.
pub(crate) fn has_image(image: &str) -> bool {
    if !is_here() {
        return false;
    }
    let found = Command::new("docker").args(["image", "inspect", image]).output();
    let is_there = found.is_ok_and(|it| it.status.success());
    if !is_there {
        assert!(!is_ci(), "there is no image `{image}`; run `deploy/images/build`");
        eprintln!("SKIPPED: there is no image `{image}`; `deploy/images/build` makes it");
    }
    is_there
}

/// Address of this machine as containers of the default network see it.
pub(crate) fn gateway() -> String {
    let format = "{{(index .IPAM.Config 0).Gateway}}";
    let address = docker(&["network", "inspect", "bridge", "--format", format]);
    if address.is_empty() { "172.17.0.1".to_owned() } else { address }
}

/// Names of the containers, volumes and networks with the label of this instance.
pub(crate) fn things_of(instance: &str) -> Vec<String> {
    let filter = format!("label=trunkline.instance={instance}");
    let containers = docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
    let volumes = docker(&["volume", "ls", "--filter", &filter, "--format", "{{.Name}}"]);
    let networks = docker(&["network", "ls", "--filter", &filter, "--format", "{{.Name}}"]);
    let all = [containers, volumes, networks].join("\n");
    all.lines().filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

/// Ids of the images that runs of this instance have built.
pub(crate) fn images_of(instance: &str) -> Vec<String> {
    let filter = format!("label=trunkline.image.instance={instance}");
    let ids = docker(&["images", "-q", "--filter", &filter]);
    ids.lines().map(str::to_owned).collect()
}

/// Names of the containers that were made to look into an image.
pub(crate) fn probes_of(state_folder: &Path) -> Vec<String> {
    let filter = format!("label=trunkline.probe={}", state_folder.display());
    let names = docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
    names.lines().map(str::to_owned).collect()
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes an image that has a program and no shell.
pub(crate) fn image_without_shell(tag: &str) {
    build(tag, "FROM scratch\nCOPY --from=busybox:stable /bin/busybox /busybox\n");
}

/// Makes an image whose user is not root.
pub(crate) fn image_with_user(tag: &str) {
    let user = "RUN echo builder:x:1234:1234::/home/builder:/bin/sh >> /etc/passwd\nUSER builder\n";
    build(tag, &format!("FROM busybox:stable\nRUN mkdir -p /etc\n{user}"));
}

fn build(tag: &str, dockerfile: &str) {
    use std::io::Write as _;
    let mut child = Command::new("docker")
        .args(["build", "-q", "-t", tag, "-"])
        .env("DOCKER_BUILDKIT", "0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(dockerfile.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "docker build -t {tag}");
}
