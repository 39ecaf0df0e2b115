//! What the engine adds to a container, and what it takes away by looking ahead. Every figure stands
//! beside its floor, measured in turn in the same run: `cargo bench --bench stages`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters as query;
use futures_util::StreamExt as _;

/// Rounds of each pair; the median counts.
const ROUNDS: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let docker = Docker::connect_with_local_defaults().unwrap();
    println!("load before: {}", load());
    println!("{:<44} {:>10} {:>10} {:>7}", "", "floor", "trunkline", "ratio");
    let raw = |count, at_once| runtime.block_on(raw_containers(&docker, count, at_once));

    let chain = Bench::new(&chain(10, "network: none, image: \"busybox:stable\""));
    pair(
        "docker: chain of 10, looking ahead",
        ROUNDS,
        || raw(10, 1),
        || chain.run(&["--jobs", "2"]),
    );
    pair(
        "docker: chain of 10, cold",
        ROUNDS,
        || raw(10, 1),
        || chain.run(&["--jobs", "2", "--look-ahead", "0"]),
    );
    let fan = Bench::new(&fan(100, "network: none, image: \"busybox:stable\""));
    pair("docker: fan-out of 100, 2 at once", 3, || raw(100, 2), || fan.run(&["--jobs", "2"]));
    pair("docker: fan-out of 100, 8 at once", 3, || raw(100, 8), || fan.run(&["--jobs", "8"]));
    pair(
        "docker: first log byte",
        ROUNDS,
        || runtime.block_on(raw_first_byte(&docker)),
        first_byte,
    );

    for (name, count, text) in [
        ("host: chain of 40", 40, self::chain(40, "timeout: 1m")),
        ("host: fan-out of 100", 100, self::fan(100, "timeout: 1m")),
        ("host: fan-out of 1,000", 1000, self::fan(1000, "timeout: 1m")),
    ] {
        let bench = Bench::new(&text);
        let floor = || processes(count);
        let ours = pair(name, 3, floor, || bench.run(&["--executor", "host", "--jobs", "2"]));
        println!("{:<44} {:>21.2} ms", "  a stage", ours.as_secs_f64() * 1000.0 / f64::from(count));
    }
    println!("{:<44} {:>21.1} MiB", "memory while waiting for an approval", idle_mebibytes());
    println!("load after: {}", load());
}

/// Resident memory of a process whose run has passed a stage and waits for a person.
fn idle_mebibytes() -> f64 {
    let text = "version: 1\nname: bench\non: { push: {} }\nstages:\n  one: { network: none, image: \"busybox:stable\", run: \"true\" }\n  ok: { needs: [one], approval: { count: 1, timeout: 1h } }\n";
    let bench = Bench::new(text);
    let mut child = bench.command(&[]).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(10));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let resident = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).unwrap();
    resident.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

/// Times two things in turn and prints the medians; gives that of the second.
fn pair(
    name: &str,
    rounds: usize,
    floor: impl Fn() -> Duration,
    ours: impl Fn() -> Duration,
) -> Duration {
    let (_, _) = (floor(), ours());
    let times: Vec<_> = (0..rounds).map(|_| (floor(), ours())).collect();
    let floor = median(times.iter().map(|it| it.0));
    let ours = median(times.iter().map(|it| it.1));
    let ratio =
        median(times.iter().map(|it| it.1.div_duration_f64(it.0)).map(Duration::from_secs_f64));
    println!("{name:<44} {floor:>10.1?} {ours:>10.1?} {:>6.2}x", ratio.as_secs_f64());
    ours
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

/// Create, start, wait and remove through the API, `at_once` of them side by side.
async fn raw_containers(docker: &Docker, count: usize, at_once: usize) -> Duration {
    let started = Instant::now();
    let one = |_| async {
        let id = create(docker, "true").await;
        docker.start_container(&id, None::<query::StartContainerOptions>).await.unwrap();
        let mut end = docker.wait_container(&id, None::<query::WaitContainerOptions>);
        while end.next().await.is_some() {}
        remove(docker, &id).await;
    };
    futures_util::stream::iter(0..count)
        .map(one)
        .buffer_unordered(at_once)
        .collect::<Vec<()>>()
        .await;
    started.elapsed()
}

async fn raw_first_byte(docker: &Docker) -> Duration {
    let started = Instant::now();
    let id = create(docker, "echo here").await;
    docker.start_container(&id, None::<query::StartContainerOptions>).await.unwrap();
    let options = query::LogsOptionsBuilder::default().follow(true).stdout(true).build();
    docker.logs(&id, Some(options)).next().await.unwrap().unwrap();
    let took = started.elapsed();
    remove(docker, &id).await;
    took
}

async fn create(docker: &Docker, command: &str) -> String {
    let body = ContainerCreateBody {
        image: Some("busybox:stable".to_owned()),
        cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()]),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            init: Some(true),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    docker.create_container(None::<query::CreateContainerOptions>, body).await.unwrap().id
}

async fn remove(docker: &Docker, id: &str) {
    let options = query::RemoveContainerOptionsBuilder::default().force(true).build();
    docker.remove_container(id, Some(options)).await.unwrap();
}

/// The same number of shells, one after the other.
fn processes(count: u32) -> Duration {
    let started = Instant::now();
    for _ in 0..count {
        assert!(Command::new("sh").args(["-c", "true"]).status().unwrap().success());
    }
    started.elapsed()
}

/// From the start of the command to the first byte of the stage's own output.
fn first_byte() -> Duration {
    use std::io::BufRead as _;
    let text = "version: 1\nname: bench\non: { push: {} }\nstages:\n  one: { network: none, image: \"busybox:stable\", run: echo here-it-is }\n";
    let bench = Bench::new(text);
    let started = Instant::now();
    let mut child = bench.command(&["--logs"]).stdout(Stdio::piped()).spawn().unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut took = None;
    for line in output.lines().map_while(Result::ok) {
        if took.is_none() && line.contains("here-it-is") {
            took = Some(started.elapsed());
        }
    }
    child.wait().unwrap();
    took.unwrap()
}

fn chain(count: usize, extra: &str) -> String {
    stages(count, |stage| match stage {
        0 => format!("{{ {extra}, run: \"true\" }}"),
        _ => format!("{{ needs: [s{}], {extra}, run: \"true\" }}", stage - 1),
    })
}

fn fan(count: usize, extra: &str) -> String {
    stages(count, |_| format!("{{ {extra}, run: \"true\" }}"))
}

fn stages(count: usize, stage: impl Fn(usize) -> String) -> String {
    let stages = (0..count).map(|it| format!("  s{it}: {}\n", stage(it)));
    let head = "version: 1\nname: bench\non: { push: {} }\ndefaults: { image: \"busybox:stable\" }\nstages:\n";
    head.to_owned() + &stages.collect::<String>()
}

/// A repository with one pipeline, and a state folder of its own.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(pipeline: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder };
        std::fs::create_dir_all(bench.repository()).unwrap();
        std::fs::write(bench.repository().join(".trunkline.yml"), pipeline).unwrap();
        git(&bench.repository(), &["init", "-q", "-b", "main"]);
        git(&bench.repository(), &["add", "."]);
        let commit =
            ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "first"];
        git(&bench.repository(), &commit);
        bench
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command.arg("--state").arg(self.folder.path().join("state")).arg("run").args(arguments);
        command.current_dir(self.repository()).stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn run(&self, arguments: &[&str]) -> Duration {
        let started = Instant::now();
        let status = self.command(arguments).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "the run ended with {status}");
        started.elapsed()
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    assert!(Command::new("git").args(arguments).current_dir(folder).status().unwrap().success());
}
