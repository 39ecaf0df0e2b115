//! A provider of models on this machine, and what a gateway needs to send calls there. Use it by
//! `#[path = "support/models.rs"] mod models;`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;
use trunkline::provider::fake::{self, Charged};

/// One dollar for a million tokens in, ten for a million out.
pub(crate) const PRICES: &str = "version = 1\ncurrency = \"USD\"\n[[price]]\nid = \"test\"\nprovider = \"test\"\nmodel = \"m*\"\nper_million = { input = 1, output = 10 }\n";

/// A provider on this machine, in a thread of its own.
pub(crate) struct Provider {
    pub(crate) charged: Arc<Charged>,
    address: String,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let (charged, stop) = (Arc::new(Charged::default()), CancellationToken::new());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (counted, until) = (charged.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                fake::serve(listener, counted, until).await;
            });
        });
        Self { charged, address, stop, thread: Some(thread) }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.charged.calls.load(Ordering::Relaxed)
    }

    /// A gateway's file that sends every model there; the key is in `PROVIDER_KEY`, prices in `prices.toml` beside it.
    pub(crate) fn gateway_file(&self) -> String {
        format!(
            "prices = [\"prices.toml\"]\n\
             [[provider]]\nname = \"test\"\ndialect = \"openai\"\nurl = \"{0}\"\nkey_variables = [\"PROVIDER_KEY\"]\n\
             [[route]]\nmodel = \"m*\"\nto = [{{ provider = \"test\" }}]\n",
            self.address
        )
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
