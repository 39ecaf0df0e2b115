//! Where stages reach the gateway: at this machine's own address, and at those that Docker gives it on the
//! networks of stages; nowhere else. The port and the addresses are noted, so that containers that outlive
//! this process find the next one at the same place.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Core, accept};

/// Addresses that are listened on at the same time.
const DOORS_AT_MOST: usize = 256;

/// Everything that is listened on.
#[derive(Debug)]
pub struct Doors {
    core: Arc<Core>,
    port: u16,
    note: PathBuf,
    open: Mutex<BTreeSet<IpAddr>>,
    stop: CancellationToken,
}

/// What the next process must know.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Note {
    port: u16,
    addresses: BTreeSet<IpAddr>,
}

impl Doors {
    /// Listens on this machine's own address, and where the process before did. `port` must be free; a
    /// noted one should be.
    pub async fn open(
        core: Arc<Core>,
        note: PathBuf,
        port: Option<u16>,
        stop: CancellationToken,
    ) -> io::Result<Self> {
        let noted = read(&note);
        let wanted = port.unwrap_or(noted.port);
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let listener = match TcpListener::bind((own, wanted)).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && port.is_none() => {
                tracing::warn!(port = wanted, "another program has the gateway's port");
                TcpListener::bind((own, 0)).await?
            }
            bound => bound?,
        };
        let port = listener.local_addr()?.port();
        let doors = Self { core, port, note, open: Mutex::default(), stop };
        doors.let_in(listener);
        doors.open.lock().await.insert(own);
        for address in noted.addresses.into_iter().filter(|it| *it != own) {
            if let Err(error) = doors.open_at(address).await {
                tracing::debug!(%address, %error, "a network of an earlier process is gone");
            }
        }
        doors.write(&*doors.open.lock().await)?;
        Ok(doors)
    }

    /// The port of all of them.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Listens on an address of this machine as well.
    pub async fn open_at(&self, address: IpAddr) -> io::Result<()> {
        let mut open = self.open.lock().await;
        if open.contains(&address) {
            return Ok(());
        }
        if open.len() >= DOORS_AT_MOST {
            return Err(io::Error::other("too many addresses are listened on"));
        }
        self.let_in(TcpListener::bind((address, self.port)).await?);
        open.insert(address);
        self.write(&open)
    }

    /// Removes the note.
    pub fn forget(&self) {
        let _none = std::fs::remove_file(&self.note);
    }

    fn let_in(&self, listener: TcpListener) {
        self.core.tasks.spawn(accept(self.core.clone(), listener, self.stop.clone()));
    }

    fn write(&self, addresses: &BTreeSet<IpAddr>) -> io::Result<()> {
        let note = Note { port: self.port, addresses: addresses.clone() };
        let draft = self.note.with_extension("new");
        std::fs::write(&draft, serde_json::to_string(&note)?)?;
        std::fs::rename(&draft, &self.note)
    }
}

fn read(note: &Path) -> Note {
    let text = std::fs::read_to_string(note).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}
