//! How soon a stage has its workspace when the repository is large: `cargo bench --bench repository`.
//!
//! A repository of 20,000 files and 1 GB (`REPOSITORY_MB` for another size, a file for every 50 kB). The
//! floor is `docker run` of the same image with a program that does nothing.

#[path = "../tests/support/bench.rs"]
#[expect(dead_code, reason = "made for tests")]
mod bench;
#[path = "../tests/support/large.rs"]
mod large;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench::{Bench, setting};
use large::Size;

/// Runs after the first; the median counts.
const ROUNDS: usize = 5;

fn main() {
    let size = Size::megabytes(setting("REPOSITORY_MB").unwrap_or(1000));
    println!("load before: {}", load());
    let bench = Bench::new().stages("  one: { run: 'true' }\n");
    large::fill(&bench, size);
    println!("{} files, {} MB", size.files, size.bytes / 1_000_000);
    println!("{:<36} {:>12} {:>16} {:>12}", "", "docker run", "to first step", "whole run");
    row("first run, with the checkout", &[measure(&bench)]);
    row("next runs", &rounds(&bench));
    // Another file of the working tree is another tree.
    bench.write("folder-0/file-0", "changed");
    row("after a change, with its checkout", &[measure(&bench)]);
    row("next runs", &rounds(&bench));
    println!("load after: {}", load());
}

/// One run beside its floor.
struct Measured {
    floor: Duration,
    to_first_step: Duration,
    whole: Duration,
}

fn rounds(bench: &Bench) -> Vec<Measured> {
    (0..ROUNDS).map(|_| measure(bench)).collect()
}

fn measure(bench: &Bench) -> Measured {
    let floor = docker_run();
    let started = Instant::now();
    bench.run(&["--no-reuse"]).expect_code(0);
    let whole = started.elapsed();
    let to_first_step = large::time_to_first_step(bench, &bench.last_run().unwrap());
    Measured { floor, to_first_step: Duration::from_millis(to_first_step.0), whole }
}

fn docker_run() -> Duration {
    let started = Instant::now();
    let arguments = ["run", "--rm", "--init", "--network", "none", "busybox:stable", "true"];
    let status = Command::new("docker").args(arguments).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
    started.elapsed()
}

fn row(name: &str, all: &[Measured]) {
    let floor = median(all.iter().map(|it| it.floor));
    let to_first_step = median(all.iter().map(|it| it.to_first_step));
    let whole = median(all.iter().map(|it| it.whole));
    println!("{name:<36} {floor:>12.0?} {to_first_step:>16.0?} {whole:>12.0?}");
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort();
    times[times.len() / 2]
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}
