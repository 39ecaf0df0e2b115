//! What a chunk of a stream takes from the model to the client, with and without something between. `LiteLLM` does not pass on
//! the header that says how long a stream is to be, so it is not here.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::http::request;
use super::peers::{KEY, Peer, Place};
use super::table::Times;
use super::upstream::now;

/// Streams at the same time: with a piece every 5 ms, 3,200 pieces a second.
const STREAMS: usize = 16;

pub(crate) fn measure(place: &Place, time: Duration) {
    let upstream = Place::streams();
    println!(
        "\n{:<22} {:>9} {:>8} {:>8} | {:>9} {:>8} {:>8}",
        "chunks of streams", "1: chunks", "p50 ms", "p99 ms", "16: chunks", "p50 ms", "p99 ms"
    );
    let direct = row(&upstream, time);
    if let Some(nginx) = place.nginx_before(&upstream.address) {
        let through = row(&nginx, time);
        added(&direct, &through);
    }
    let gateway = place.gateway(&upstream.address);
    let through = row(&gateway, time);
    added(&direct, &through);
    gateway.end();
}

fn added(direct: &[f64; 4], through: &[f64; 4]) {
    let by = |it: usize| through[it] - direct[it];
    println!(
        "{:<22} {:>9} {:>8.3} {:>8.3} | {:>9} {:>8.3} {:>8.3}",
        "  adds",
        "",
        by(0),
        by(1),
        "",
        by(2),
        by(3)
    );
}

fn row(peer: &Peer, time: Duration) -> [f64; 4] {
    let one = Times::new(stream(&peer.address, time));
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..STREAMS {
            scope.spawn(|| {
                let times = stream(&peer.address, time);
                all.lock().unwrap().extend(times);
            });
        }
    });
    let many = Times::new(all.into_inner().unwrap());
    let figures = [one.ms(500), one.ms(990), many.ms(500), many.ms(990)];
    println!(
        "{:<22} {:>9} {:>8.3} {:>8.3} | {:>9} {:>8.3} {:>8.3}",
        peer.name,
        one.len(),
        figures[0],
        figures[1],
        many.len(),
        figures[2],
        figures[3]
    );
    figures
}

/// Reads one stream to its end; how old each piece was when it came.
fn stream(address: &str, time: Duration) -> Vec<Duration> {
    let pieces = time.as_millis() / 5;
    let request = String::from_utf8(request(KEY, true)).unwrap();
    let request =
        request.replacen("host: bench\r\n", &format!("host: bench\r\nx-pieces: {pieces}\r\n"), 1);
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_nodelay(true).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let (mut text, mut buffer, mut times) = (Vec::new(), [0; 16 << 10], Vec::new());
    let begun = Instant::now();
    loop {
        let read = connection.read(&mut buffer).unwrap();
        let came = now();
        assert!(read > 0 && begun.elapsed() < 10 * time, "the stream broke");
        text.extend_from_slice(&buffer[..read]);
        while let Some((sent, end)) = stamp(&text) {
            times.push(Duration::from_nanos(u64::try_from(came.saturating_sub(sent)).unwrap()));
            text.drain(..end);
        }
        if text.ends_with(b"0\r\n\r\n") {
            // The first pieces come while connections are made.
            return times.split_off(times.len().min(10));
        }
    }
}

/// The next moment between two `@`, and where it ends.
fn stamp(text: &[u8]) -> Option<(u128, usize)> {
    let from = text.iter().position(|it| *it == b'@')?;
    let length = text[from + 1..].iter().position(|it| *it == b'@')?;
    let sent = std::str::from_utf8(&text[from + 1..from + 1 + length]).unwrap().parse().unwrap();
    Some((sent, from + length + 2))
}
