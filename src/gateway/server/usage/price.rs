//! What a report costs: by the price files, as calls do. What has no price is refused, or counted as the file says.

use std::sync::Arc;

use super::report::Report;
use crate::gateway::prices::PriceRow;
use crate::gateway::server::Core;
use crate::gateway::settings::UnknownPrice;
use crate::model::{Timestamp, UsdNanos};
use crate::provider::refusal::Refusal;

/// A report with its price.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Priced {
    pub(in crate::gateway) report: Report,
    pub(in crate::gateway) provider: String,
    pub(in crate::gateway) price: Arc<PriceRow>,
    pub(in crate::gateway) cost: UsdNanos,
    pub(in crate::gateway) flags: Vec<&'static str>,
}

/// The price of a report at a moment.
pub(in crate::gateway) fn priced(
    core: &Core,
    report: Report,
    at: Timestamp,
) -> Result<Priced, Refusal> {
    let name = &report.name;
    let provider = report.provider.as_deref().or_else(|| core.usage.provider(name));
    let provider = provider.map(str::to_owned).ok_or_else(|| {
        let what = format!("who serves `{name}` is not known: say `provider`");
        Refusal::Unreadable(format!("{what}, or name it in an `[[index]]` of the gateway's file"))
    })?;
    let mut flags = Vec::new();
    let known =
        core.prices.find(&provider, name, at).and_then(|it| Some((cost(&it, &report)?, it)));
    let assumed = || match &core.unknown_price {
        UnknownPrice::Refuse => None,
        UnknownPrice::Assume(rates) => {
            flags.push("assumed_price");
            let row = Arc::new(PriceRow::assumed(&provider, rates.clone()));
            Some((cost(&row, &report)?, row))
        }
    };
    let Some((cost, price)) = known.or_else(assumed) else {
        let units: Vec<_> = report.usage.iter().map(|it| format!("{:?}", it.0)).collect();
        tracing::warn!(index = name, provider, ?units, "what an app has used has no price");
        return Err(Refusal::Forbidden(format!(
            "no price of all that was used of `{name}` at `{provider}` is known, so it is not charged; write it into \
             a file that `prices` of the gateway's file names, start the gateway anew, and report it again"
        )));
    };
    Ok(Priced { report, provider, price, cost, flags })
}

/// What all of it costs; nothing where a part has no price.
fn cost(price: &PriceRow, report: &Report) -> Option<UsdNanos> {
    let is_priced = |class| price.has_rate(class);
    let has_all = report.usage.iter().all(|it| is_priced(it.0));
    has_all.then(|| price.cost(&report.usage, None).total())
}
