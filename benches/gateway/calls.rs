//! Whole answers: with one connection, at a fixed rate, and as many as go through.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::http::{Connection, request};
use super::peers::{KEY, Peer, Place, lua};
use super::table::{Times, mebibytes};

/// Connections of the fixed rate.
const CONNECTIONS: u32 = 8;

pub(crate) fn measure(place: &Place, time: Duration) {
    let Some(upstream) = place.upstream() else {
        println!("no `nginx`: `deploy/gateway-floors` installs it");
        return;
    };
    println!(
        "\n{:<22} {:>8} {:>8} | {:>6} {:>8} {:>8} {:>8} | {:>9} {:>8} {:>8} | {:>7}",
        "whole answers",
        "p50 ms",
        "p99 ms",
        "rate",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "64: req/s",
        "p50 ms",
        "p99 ms",
        "MiB"
    );
    row(place, &upstream, 1000, time);
    if let Some(nginx) = place.nginx_before(&upstream.address) {
        row(place, &nginx, 1000, time);
    }
    let gateway = place.gateway(&upstream.address);
    let made = row(place, &gateway, 1000, time);
    gateway.end();
    println!(
        "ours: {made} calls made by this program and more by wrk, {} in the ledger",
        place.calls_in_ledger()
    );
    let collector = Place::collector();
    let traced = place.traced_gateway(&upstream.address, &collector.address);
    row(place, &traced, 1000, time);
    traced.end();
    if let Some(litellm) = place.litellm(&upstream.address) {
        // More than it can do would measure its queue.
        row(place, &litellm, 50, time);
    }
}

/// Gives how many calls were made here.
fn row(place: &Place, peer: &Peer, rate: u32, time: Duration) -> usize {
    let mut first = Connection::open(&peer.address, request(KEY, false));
    for _ in 0..200 {
        assert!(first.call(), "`{}` refuses", peer.name);
    }
    let one = one_connection(first, time);
    let steady = at_rate(&peer.address, rate, time);
    let many = place.program("wrk").map(|it| with_wrk(it, place, &peer.address, time));
    let many = many.unwrap_or_else(|| "no wrk".to_owned());
    println!(
        "{:<22} {:>8.3} {:>8.3} | {rate:>4}/s {:>8.3} {:>8.3} {:>8.3} | {many} | {:>7.1}",
        peer.name,
        one.ms(500),
        one.ms(990),
        steady.ms(500),
        steady.ms(990),
        steady.ms(999),
        mebibytes(peer.id())
    );
    one.len() + steady.len() + 200
}

/// One call after the other.
fn one_connection(mut connection: Connection, time: Duration) -> Times {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let sent = Instant::now();
        assert!(connection.call());
        times.push(sent.elapsed());
    }
    Times::new(times)
}

/// Calls at the moments when they are due. One that waits for the one before it counts from when it was due, so
/// that a slow answer cannot hide ("coordinated omission"); one whose thread only woke late does not.
fn at_rate(address: &str, rate: u32, time: Duration) -> Times {
    let times = Mutex::new(Vec::new());
    let begun = Instant::now() + Duration::from_millis(50);
    let every = Duration::from_secs(1) / rate;
    let count = u32::try_from(time.as_nanos() / every.as_nanos()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..CONNECTIONS {
            let times = &times;
            scope.spawn(move || {
                let mut connection = Connection::open(address, request(KEY, false));
                let mut own = Vec::new();
                for n in (thread..count).step_by(CONNECTIONS as usize) {
                    let due = begun + every * n;
                    let left = due.saturating_duration_since(Instant::now());
                    std::thread::sleep(left);
                    let from = if left.is_zero() { due } else { Instant::now() };
                    assert!(connection.call());
                    own.push(from.elapsed());
                }
                times.lock().unwrap().extend(own);
            });
        }
    });
    Times::new(times.into_inner().unwrap())
}

/// Requests a second with 64 connections, and their times.
fn with_wrk(
    mut wrk: std::process::Command,
    place: &Place,
    address: &str,
    time: Duration,
) -> String {
    let script = lua(place.folder.path(), &request(KEY, false));
    wrk.args(["-t2", "-c64", "--latency", "-s"]).arg(script);
    let output = wrk
        .arg(format!("-d{}s", time.as_secs().max(1)))
        .arg(format!("http://{address}/v1/chat/completions"))
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let after = |name: &str| {
        let line = text.lines().find_map(|it| it.trim().strip_prefix(name));
        line.unwrap_or("?").trim().to_owned()
    };
    let refused = if text.contains("Non-2xx") { " REFUSED" } else { "" };
    format!("{:>9} {:>8} {:>8}{refused}", after("Requests/sec:"), after("50%"), after("99%"))
}
