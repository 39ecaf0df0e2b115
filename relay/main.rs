//! Stands on the network of a stage that may reach the LLM gateway and nothing else: takes connections at one port
//! and passes them on to one address, and asks services whether they are ready. It is linked statically and has
//! nothing but the standard library, so that it runs beside the files of any image. The engine carries it
//! (`build.rs`) and starts it (`src/executor/docker/network/relay.rs`).
//!
//! ```text
//! relay hold                      waits until it is ended
//! relay pass PORT ADDRESS         passes connections to PORT on to ADDRESS, until it is ended
//! relay tcp ADDRESS               0 when somebody listens there
//! relay http ADDRESS HOST PATH    0 when the answer is 100 to 399
//! ```

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Connections at the same time; more are closed at once.
const CONNECTIONS_MAX: usize = 256;
const STACK_BYTES: usize = 64 * 1024;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Where the code stands in the first line of an answer: `HTTP/1.0 200`.
const STATUS_BYTES: usize = 12;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *words.as_slice() {
        ["hold"] => hold(),
        ["pass", port, to] => read(port).and_then(|port| pass(port, read(to)?)),
        ["tcp", at] => read(at).and_then(probe).map(drop),
        ["http", at, host, path] => read(at).and_then(|at| ask(at, host, path)),
        _ => Err("usage: relay hold | pass PORT ADDRESS | tcp ADDRESS | http ADDRESS HOST PATH".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn read<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("`{word}` is no address"))
}

fn hold() -> Result<(), String> {
    loop {
        thread::park();
    }
}

fn pass(port: u16, to: SocketAddr) -> Result<(), String> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map_err(|it| it.to_string())?;
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((client, _)) = listener.accept() else {
            // Out of files, most likely: some are closed soon.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let counted = open.clone();
        let work = move || {
            // Whoever is cut off sees it, and tries again.
            drop(both_ways(&client, to));
            counted.fetch_sub(1, Ordering::Relaxed);
        };
        if thread::Builder::new().stack_size(STACK_BYTES).spawn(work).is_err() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Until both sides have said all that they wanted to say.
fn both_ways(client: &TcpStream, to: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect_timeout(&to, CONNECT_LIMIT)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        let up = thread::Builder::new().stack_size(STACK_BYTES);
        up.spawn_scoped(scope, || one_way(client, &server))?;
        one_way(&server, client);
        Ok(())
    })
}

fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    let is_whole = io::copy(&mut from, &mut to).is_ok();
    drop(to.shutdown(Shutdown::Write));
    if !is_whole {
        // The other direction ends, too.
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    }
}

fn probe(at: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect_timeout(&at, PROBE_LIMIT).map_err(|it| format!("port {}: {it}", at.port()))
}

/// HTTP/1.0 (RFC 1945), for one question and one answer.
fn ask(at: SocketAddr, host: &str, path: &str) -> Result<(), String> {
    let mut stream = probe(at)?;
    let mut head = [0; STATUS_BYTES];
    let mut exchange = || {
        stream.set_read_timeout(Some(PROBE_LIMIT))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
        stream.read_exact(&mut head)
    };
    exchange().map_err(|it| format!("`{path}`: {it}"))?;
    let status = head.get(9..).and_then(|it| std::str::from_utf8(it).ok()?.parse::<u16>().ok());
    match status {
        Some(100..400) => Ok(()),
        Some(status) => Err(format!("`{path}` answers {status}")),
        None => Err(format!("`{path}`: the answer is not HTTP")),
    }
}
