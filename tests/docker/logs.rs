//! A log that is printed at full speed: complete, in order, in bounded memory, whoever is slow to read it.
//!
//! `LOG_MIB` says how much is printed (64 without).

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trunkline::blobs::Logs;
use trunkline::model::{AttemptName, RunStatus};
use trunkline::worker::OUTPUT_SECTION;

use crate::bench::{Bench, block_on, place, setting};
use crate::docker;

/// Bytes of a line: the length of many a line of a build.
const LINE_BYTES: u64 = 128;
/// What follows the number of a line.
const FILLER: &str = "of a log that is printed at full speed, with lines as long as those that builds and test runners like to prin";
/// What no process of ours may ever need.
const MEMORY_LIMIT_KIB: u64 = 100 * 1024;
/// The longest that anything is waited for.
const PATIENCE: Duration = Duration::from_mins(25);
/// Bytes of the stored log that are compared at once.
const CHUNK_BYTES: usize = 1 << 20;

#[test]
fn a_log_at_full_speed_is_complete_and_in_order_whoever_stalls() {
    if !docker::is_here() {
        return;
    }
    let mib: u64 = setting("LOG_MIB").unwrap_or(64);
    let lines = mib * (1 << 20) / LINE_BYTES;
    let bench = Bench::new().stages(&stages(lines));
    let started = Instant::now();
    // Nobody reads what the run itself says, either, until it is over.
    let mut engine = bench.command(&["run"]).spawn().unwrap();
    wait_for_run(&bench);
    let mut stalled = bench.command(&["logs", "last", "-f"]).spawn().unwrap();
    let mut reader = bench.command(&["logs", "last", "-f"]).spawn().unwrap();
    let read = count_in_background(reader.stdout.take().unwrap());

    let mut peaks = Peaks::default();
    while bench.last_run().unwrap().run.status() != RunStatus::Passed {
        assert!(started.elapsed() < PATIENCE, "the run does not pass");
        assert!(engine.try_wait().unwrap().is_none(), "{}", bench.story());
        peaks.look(&engine, &stalled, &reader);
        std::thread::sleep(Duration::from_millis(100));
    }
    let took = started.elapsed();
    peaks.look(&engine, &stalled, &reader);
    drop(engine.stdout.take());
    assert_eq!(engine.wait().unwrap().code(), Some(0));
    assert_eq!(read.join().unwrap(), lines, "the reading follower gets all, in order");
    assert_eq!(reader.wait().unwrap().code(), Some(0));
    assert!(stalled.try_wait().unwrap().is_none(), "the stalled follower still waits");
    stalled.kill().unwrap();
    stalled.wait().unwrap();
    compare_stored(&bench, lines);

    eprintln!("{mib} MiB, {lines} lines in {took:.1?}; peak memory {peaks:?}");
    for peak in [peaks.engine, peaks.stalled, peaks.reader] {
        assert!((1..MEMORY_LIMIT_KIB).contains(&peak), "{peaks:?}");
    }
}

fn stages(lines: u64) -> String {
    format!(
        "  loud:\n    image: \"debian:bookworm-slim\"\n    timeout: 1h\n    run: seq -f 'line %012.0f {FILLER}' 1 {lines}\n"
    )
}

fn line(number: u64) -> String {
    format!("line {number:012} {FILLER}\n")
}

fn wait_for_run(bench: &Bench) {
    let started = Instant::now();
    while !(bench.state().join("state.db").exists() && bench.last_run().is_some()) {
        assert!(started.elapsed() < PATIENCE, "the run does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Counts the lines of the log that come in order, behind what the engine says before them.
fn count_in_background(output: ChildStdout) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut count = 0;
        let mut text = String::new();
        let mut output = BufReader::new(output);
        while output.read_line(&mut text).unwrap() > 0 {
            if count > 0 || text.starts_with("line ") {
                count += 1;
                assert_eq!(text, line(count));
            }
            text.clear();
        }
        count
    })
}

/// The stored log has each line once, in order, and nothing else.
fn compare_stored(bench: &Bench, lines: u64) {
    let run = bench.last_run().unwrap().row.id;
    let name = AttemptName { run, stage: place(0), attempt: 1 };
    block_on(async {
        let reader = Logs::open(&bench.state().join("logs")).unwrap().reader(&name).await.unwrap();
        let sections = reader.sections().await.unwrap();
        let output = sections.iter().find(|it| it.step == OUTPUT_SECTION).unwrap();
        let extent = reader.extent().await.unwrap();
        assert_eq!(extent.size_bytes, output.offset + lines * LINE_BYTES);
        assert!(extent.is_complete);
        let mut number = 0;
        while number < lines {
            let chunk =
                reader.read_at(output.offset + number * LINE_BYTES, CHUNK_BYTES).await.unwrap();
            for stored in chunk.chunks(line(0).len()) {
                number += 1;
                assert!(stored == line(number).as_bytes(), "line {number}");
            }
        }
    });
}

/// The most memory that each process has ever had, in KiB.
#[derive(Debug, Default)]
struct Peaks {
    engine: u64,
    stalled: u64,
    reader: u64,
}

impl Peaks {
    fn look(&mut self, engine: &Child, stalled: &Child, reader: &Child) {
        self.engine = self.engine.max(peak_kib(engine));
        self.stalled = self.stalled.max(peak_kib(stalled));
        self.reader = self.reader.max(peak_kib(reader));
    }
}

/// `VmHWM` of a process, in KiB; 0 when it is gone.
fn peak_kib(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id()));
    let status = status.unwrap_or_default();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    peak.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
