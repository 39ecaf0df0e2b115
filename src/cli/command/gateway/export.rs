//! The traces of a gateway without a server: it keeps none, and sends them to a collector, if there is one.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::failure::Usage;
use crate::cli::session::Session;
use crate::config::TraceSettings;
use crate::gateway::ledger::trail::writer::{self, Destination};
use crate::gateway::server::Core;
use crate::gateway::settings::Settings;
use crate::outgoing::Outgoing;
use crate::traces::LiveExporter;

/// Where the traces of a gateway go.
pub(super) struct Traces {
    exporter: Option<LiveExporter>,
    clock: Arc<dyn crate::model::Clock>,
}

impl Traces {
    /// To the collector that the gateway's file names, or the environment.
    pub(super) fn new(session: &Session, settings: &Settings) -> anyhow::Result<Self> {
        let clock = Arc::clone(&session.clock);
        let Some(collector) = collector(session, settings)? else {
            return Ok(Self { exporter: None, clock });
        };
        let outgoing = Outgoing::new(session.settings.forges.private_hosts.clone())?;
        let exporter = LiveExporter::new(&outgoing, collector)?;
        Ok(Self { exporter: Some(exporter), clock })
    }

    /// Until the gateway is over. Where nobody takes traces, none are noted.
    pub(super) async fn send(self, core: &Core, over: &CancellationToken) {
        let Some(exporter) = self.exporter else { return };
        // What waits does so in the gateway, where it is counted.
        let (sender, receiver) = mpsc::channel(1);
        let noted = writer::keep(
            Arc::clone(&core.trails),
            (Destination::Sender(sender), self.clock),
            over.clone(),
        );
        tokio::join!(noted, exporter.serve(receiver, over.clone()));
    }
}

fn collector(session: &Session, settings: &Settings) -> anyhow::Result<Option<TraceSettings>> {
    let traces = &settings.traces;
    let Some(endpoint) = &traces.endpoint else {
        return Ok(session.settings.server.traces.clone());
    };
    let headers = match &traces.headers_variable {
        Some(name) => session.environment.get(name).ok_or_else(|| {
            let message = format!("`headers_variable` of `[traces]` is `{name}`, which is not set");
            Usage::new(message, "set it to `name=value`, separated by commas")
        })?,
        None => "",
    };
    let settings = TraceSettings::new(endpoint, headers).ok_or_else(|| {
        let name = traces.headers_variable.as_deref().unwrap_or_default();
        Usage::new(format!("`{name}` has no headers"), "they are `name=value`, separated by commas")
    })?;
    Ok(Some(settings))
}
