//! What is called and what is not, by address and by name.

use std::net::TcpListener;

use reqwest::{Method, StatusCode};

use super::*;

fn naming<const N: usize>(hosts: [&str; N]) -> Outgoing {
    Outgoing::new(hosts.map(str::to_owned).into()).unwrap()
}

/// A server that answers one request with this.
fn answering(answer: &'static str) -> u16 {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _read = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
    });
    port
}

#[test]
fn private_addresses_are_not_called() {
    let outgoing = naming(["forge.lan", "10.0.0.9", "fd00::9"]);
    for address in [
        "https://127.0.0.1/api",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::a00:1]/",
        "https://100.64.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "http://api.github.com/",
        "file:///etc/passwd",
        "nonsense",
    ] {
        assert!(outgoing.admit(address).is_err(), "{address}");
    }
    for address in [
        "https://api.github.com/",
        "http://forge.lan/api",
        "https://10.0.0.9/api",
        "https://[fd00::9]/",
    ] {
        assert!(outgoing.admit(address).is_ok(), "{address}");
    }
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_called() {
    let outgoing = naming([]);
    let request = outgoing.request(Method::GET, "https://localhost:1/").unwrap();
    let error = outgoing.send(request).await.unwrap_err();
    assert!(matches!(error, OutgoingError::Forbidden { .. }), "{error}");
    let error = outgoing.resolve("localhost", 25).await.unwrap_err().to_string();
    assert!(error.starts_with("`localhost` may not be called: it is private"), "{error}");
    let found = naming(["localhost"]).resolve("localhost", 25).await.unwrap();
    assert!(found.iter().all(|it| it.ip().is_loopback() && it.port() == 25), "{found:?}");
}

#[tokio::test]
async fn who_tells_credentials_is_only_called_by_its_own_number() {
    for hosts in [vec![], vec!["metadata.lan"]] {
        let hosts = hosts.into_iter().map(str::to_owned).collect();
        let outgoing = Outgoing::new(hosts).unwrap();
        let error = outgoing.resolve("169.254.169.254", 80).await.unwrap_err().to_string();
        assert!(error.contains("tells credentials"), "{error}");
    }
    assert!(naming(["169.254.169.254"]).resolve("169.254.169.254", 80).await.is_ok());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let port = answering(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    );
    let address = format!("http://127.0.0.1:{port}/");
    let outgoing = naming([]).trusting(&address).unwrap();
    let answer = outgoing.send(outgoing.request(Method::GET, &address).unwrap()).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
}

#[test]
fn what_the_operator_has_written_is_trusted_and_nothing_beside_it() {
    let outgoing = naming([]).trusting("https://ID.corp.lan/realm").unwrap();
    assert!(outgoing.admit("http://id.corp.lan/").is_ok());
    assert!(outgoing.admit("http://other.corp.lan/").is_err());
    assert!(outgoing.admit("https://10.0.0.1/").is_err());
}
