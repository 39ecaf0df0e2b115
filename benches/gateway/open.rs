//! Many streams that are open at the same time: what they take of memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::http::{find, request};
use super::peers::{KEY, Place};
use super::table::mebibytes;

/// How long the model holds them.
const HOLD_SECONDS: u64 = 60;

pub(crate) fn measure(place: &Place, count: u64) {
    let upstream = Place::streams();
    let gateway = place.gateway(&upstream.address);
    let before = mebibytes(gateway.id());
    let request = String::from_utf8(request(KEY, true)).unwrap();
    let hold = format!("host: bench\r\nx-hold: {HOLD_SECONDS}\r\n");
    let request = request.replacen("host: bench\r\n", &hold, 1);
    let begun = Instant::now();
    let mut streams = Vec::new();
    for n in 0..count {
        let mut stream = match TcpStream::connect(&gateway.address) {
            Ok(stream) => stream,
            Err(error) => panic!("stream {n}: {error}; is `ulimit -n` large enough?"),
        };
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        streams.push(stream);
    }
    for (n, stream) in streams.iter_mut().enumerate() {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        while find(&text, b"@").is_none() {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "stream {n} was closed: {}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&buffer[..read]);
        }
    }
    let (taken, during) = (begun.elapsed(), mebibytes(gateway.id()));
    #[expect(clippy::cast_precision_loss, reason = "a count of streams")]
    let each = (during - before) * 1024.0 / count as f64;
    println!(
        "\n{count} streams open after {:.1} s: {before:.1} MiB before, {during:.1} MiB with them, {each:.1} KiB each",
        taken.as_secs_f64()
    );
    drop(streams);
    std::thread::sleep(Duration::from_secs(3));
    println!("after their clients have left: {:.1} MiB", mebibytes(gateway.id()));
    gateway.end();
    println!("{} calls in the ledger", place.calls_in_ledger());
}
