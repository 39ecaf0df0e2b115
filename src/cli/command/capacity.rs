//! `trunkline capacity`: how many replicas of a model a load needs, and what they cost.

mod load;

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use serde::Serialize;

use super::audit::{When, when};
use crate::capacity::measured::Measured;
use crate::capacity::{self, LimitedBy, Load, Plan, Replica};
use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::gateway::prices::rate::Decimal;
use crate::gateway::prices::{self, Prices};
use crate::model::{Timestamp, Usage as Used, UsageClass, UsdNanos};

/// Femto-dollars in a nano-dollar.
const FEMTOS_PER_NANO: i64 = 1_000_000;
/// How far Little's law and what was counted may be apart.
const DISAGREEMENT: f64 = 0.2;
/// Seconds of a call below which a ledger says nothing: it counts whole milliseconds.
const LEAST_SECONDS: f64 = 0.001;
/// Seconds of a call below which it says little.
const FEW_SECONDS: f64 = 0.01;
/// The most percent of the need that are kept free.
const HEADROOM_MAX: f64 = 1000.0;
/// Seconds in which calls have to lie to be a load.
const TRIAL_SECONDS: f64 = 60.0;

/// Arguments of `trunkline capacity`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is not given is measured of the calls that were answered by a provider: from the ledger of a gateway alone
(`--ledger`, the file that its settings name), of the database of this machine (`--from-store`), or of a server
(`--server` or `TRUNKLINE_SERVER`, of the teams that you may see). A server is not asked where `--qps`, `--tokens` and
`--throughput` are given.

Examples:
  trunkline capacity --qps 20 --tokens 350 --throughput 2500
  trunkline capacity --qps 20 --tokens 350 --throughput 2500 --seconds 14 --slots 64 --replica-hour 2.50
  trunkline capacity --ledger ledger.jsonl --model qwen-7b --throughput 2500 --json
  trunkline capacity --ledger ledger.jsonl --model gpt-4.1-mini --prices prices.toml --provider openai
  trunkline capacity --from-store --model qwen-7b --since 7d --slots 64
  trunkline capacity --server ci.example.org --team shop --endpoint search --serving 2")]
pub struct CapacityArgs {
    /// Calls a second, at the busiest [default: the busiest minute of the ledger]
    #[arg(long, value_name = "NUMBER")]
    qps: Option<f64>,
    /// Tokens of an answer, on average [default: of the ledger]
    #[arg(long, value_name = "NUMBER")]
    tokens: Option<f64>,
    /// Seconds that a call takes, on average [default: of the ledger]
    #[arg(long, value_name = "NUMBER")]
    seconds: Option<f64>,
    /// Tokens a second of a replica [default: the most that the ledger has seen, shared by `--serving`]
    #[arg(long, value_name = "NUMBER")]
    throughput: Option<f64>,
    /// Calls that a replica works on at the same time, at most
    #[arg(long, value_name = "NUMBER")]
    slots: Option<f64>,
    /// Percent of the need that are kept free
    #[arg(long, value_name = "PERCENT", default_value_t = 30.0)]
    headroom: f64,
    /// The ledger of a gateway
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from_store", "team", "since", "until"])]
    ledger: Option<PathBuf>,
    /// Measure from the database of this machine: the state folder, or `DATABASE_URL`
    #[arg(long)]
    from_store: bool,
    /// From this day or moment on (RFC 3339; UTC), or not older than `30m`, `12h`, `7d` [default: 30d]
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Before this day or moment
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// Only calls of this team
    #[arg(long, value_name = "NAME")]
    team: Option<String>,
    /// Replicas that served the calls of the ledger
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    serving: u32,
    /// Only calls of this model, which is also the one whose price is taken
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only calls of this endpoint
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// What a replica costs an hour, in USD
    #[arg(long, value_name = "USD")]
    replica_hour: Option<String>,
    /// A price file, or a copy of the public list: what the calls cost where they are paid by the token
    #[arg(long, value_name = "FILE", requires = "provider", requires = "model")]
    prices: Option<PathBuf>,
    /// Whose price is taken
    #[arg(long, value_name = "NAME", requires = "prices")]
    provider: Option<String>,
    /// Tokens of a prompt, on average [default: of the ledger]
    #[arg(long, value_name = "NUMBER")]
    input_tokens: Option<f64>,
    /// Calls a second over the whole month [default: of the ledger, or those at the busiest]
    #[arg(long, value_name = "NUMBER")]
    average_qps: Option<f64>,
}

/// What is said.
#[derive(Debug, Serialize)]
struct Answer {
    plan: Plan,
    measured: Option<Measured>,
    /// What the replicas cost a month.
    replicas_a_month: Option<UsdNanos>,
    /// What the calls cost a month where they are paid by the token.
    calls_a_month: Option<UsdNanos>,
    /// Calls a second that the line above counts on.
    average_qps: f64,
    warnings: Vec<String>,
}

/// Says how many replicas there have to be.
pub async fn execute(session: &Session, args: &CapacityArgs) -> anyhow::Result<Exit> {
    check(args)?;
    let seen = load::measure(session, args).await?;
    let (measured, is_cut) = seen.map_or((None, false), |it| (Some(it.0), it.1));
    let mut answer = answer(args, measured, session.clock.now())?;
    if is_cut {
        answer.warnings.push(
            "there are more calls than are looked at: these are the newest 200,000; `--since` says from when on".to_owned(),
        );
    }
    if session.output.json {
        session.output.json(&answer)?;
    } else {
        session.output.line(&text(&answer))?;
    }
    Ok(Exit::Passed)
}

/// Refuses figures that cannot be, in the words and units of their options.
fn check(args: &CapacityArgs) -> Result<(), Usage> {
    if !(0.0..=HEADROOM_MAX).contains(&args.headroom) {
        let message =
            format!("`--headroom` is 0 to {HEADROOM_MAX} percent, and not {}", args.headroom);
        return Err(Usage::new(message, "`--headroom 30` keeps 30 % of the need free"));
    }
    if let Some(slots) = args.slots.filter(|it| !it.is_finite() || *it < 1.0) {
        let message = format!("`--slots` is 1 or more, and not {slots}");
        return Err(Usage::new(message, "a replica works on one call at least"));
    }
    Ok(())
}

fn answer(
    args: &CapacityArgs,
    measured: Option<Measured>,
    now: Timestamp,
) -> Result<Answer, Usage> {
    let seen = measured.as_ref();
    let serving = f64::from(args.serving);
    let of_ledger = seen.map(|it| it.busiest_tokens_per_second / serving);
    let seconds = seen.map(|it| it.seconds_per_response).filter(|it| *it >= LEAST_SECONDS);
    let load = Load {
        qps: needed("--qps", args.qps, seen.map(|it| it.busiest_qps))?,
        tokens_per_response: needed(
            "--tokens",
            args.tokens,
            seen.map(|it| it.tokens_per_response),
        )?,
        seconds_per_response: args.seconds.or(seconds),
    };
    let replica = Replica {
        tokens_per_second: needed("--throughput", args.throughput, of_ledger)?,
        slots: args.slots,
    };
    let plan = capacity::plan(load, replica, args.headroom / 100.0);
    let help = if seen.is_some() {
        "give the figure by its option: the calls that were measured may be too few or too short to tell it"
    } else {
        "look at the figures again"
    };
    let plan = plan.map_err(|it| Usage::new(it.to_string(), help))?;
    let average_qps = args.average_qps.or(seen.map(|it| it.average_qps)).unwrap_or(load.qps);
    let hour = args.replica_hour.as_deref().map(usd).transpose()?;
    let call = cost_of_a_call(args, &plan, seen, now)?;
    Ok(Answer {
        warnings: warnings(args, &plan, seen, of_ledger),
        replicas_a_month: hour.map(|it| capacity::month_of_replicas(plan.replicas, it)),
        calls_a_month: call.map(|it| capacity::month_of_calls(average_qps, it)),
        average_qps,
        plan,
        measured,
    })
}

fn needed(name: &str, given: Option<f64>, measured: Option<f64>) -> Result<f64, Usage> {
    given.or(measured).ok_or_else(|| {
        let help = format!(
            "give `{name}`; or `--ledger`, `--from-store` or `--server` to have it measured"
        );
        Usage::new(format!("`{name}` is not known"), help)
    })
}

fn usd(text: &str) -> Result<UsdNanos, Usage> {
    let rate = Decimal::<0>::from_str(text);
    let rate = rate.map_err(|it| Usage::new(it, "write it as `2.50`"))?;
    Ok(UsdNanos(rate.0.0 / FEMTOS_PER_NANO))
}

/// By the price file, or what the calls of the ledger have cost.
fn cost_of_a_call(
    args: &CapacityArgs,
    plan: &Plan,
    measured: Option<&Measured>,
    now: Timestamp,
) -> Result<Option<UsdNanos>, Usage> {
    let (Some(path), Some(provider), Some(model)) = (&args.prices, &args.provider, &args.model)
    else {
        return Ok(measured.map(|it| it.cost_per_call).filter(|it| it.0 > 0));
    };
    let input = args.input_tokens.or(measured.map(|it| it.tokens_per_prompt));
    let input = needed("--input-tokens", input, None)?;
    let prices = read_prices(path)?;
    let price = prices.find(provider, model, now).ok_or_else(|| {
        let message = format!("`{}` has no price of `{model}` at `{provider}`", path.display());
        Usage::new(message, "look at how the file spells them")
    })?;
    let used = Used::default()
        .with(UsageClass::Input, count(input))
        .with(UsageClass::Output, count(plan.load.tokens_per_response));
    Ok(Some(price.cost(&used, None).total()))
}

fn read_prices(path: &Path) -> Result<Prices, Usage> {
    let text = read(path)?;
    let is_toml = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("toml"));
    let file = if is_toml {
        prices::read_toml(&text)
    } else {
        prices::read_json(&text).or_else(|_| prices::import::genai_prices(&text))
    };
    let file = file.map_err(|it| {
        let message = format!("the prices `{}` are wrong: {it}", path.display());
        Usage::new(message, "docs/gateway.md shows what a price file has")
    })?;
    Ok(Prices::new(file.prices))
}

fn read(path: &Path) -> Result<String, Usage> {
    std::fs::read_to_string(path).map_err(|it| {
        let message = format!("`{}` cannot be read: {it}", path.display());
        Usage::new(message, "name a file that is there")
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn count(tokens: f64) -> u64 {
    tokens.round() as u64
}

fn warnings(
    args: &CapacityArgs,
    plan: &Plan,
    measured: Option<&Measured>,
    of_ledger: Option<f64>,
) -> Vec<String> {
    let mut warnings = measured.map(|it| too_short(args, it)).unwrap_or_default();
    if let Some(seen) = measured
        && seen.disagreement() > DISAGREEMENT
    {
        warnings.push(format!(
            "the busiest minute was no steady load: {:.1} calls at the same time were counted, and its rate and \
             times make {:.1} (Little's law)",
            seen.in_flight, seen.in_flight_by_little
        ));
    }
    match (args.throughput, of_ledger) {
        (None, Some(_)) => warnings.push(
            "the tokens a second of a replica are the most that the ledger has seen, which may be less than what it \
             can do: measure it under load, and give `--throughput`"
                .to_owned(),
        ),
        (Some(given), Some(seen)) if seen > given => warnings.push(format!(
            "the ledger has seen {seen:.0} tokens a second of a replica, more than the {given:.0} that are given"
        )),
        _ => {}
    }
    if let (Some(held), None) = (plan.in_flight_per_replica, args.slots) {
        let held = if held < 0.1 { number(held) } else { format!("{held:.1}") };
        warnings.push(format!(
            "each replica has to hold {held} calls at the same time; give `--slots` to have that checked"
        ));
    }
    warnings
}

/// What cannot be told of calls that took next to no time.
fn too_short(args: &CapacityArgs, seen: &Measured) -> Vec<String> {
    let mut warnings = Vec::new();
    let took = seen.seconds_per_response;
    if args.seconds.is_none() && took < LEAST_SECONDS {
        warnings.push(
            "the calls that were measured took less than a millisecond, the least that a ledger counts: how many there \
             are at the same time is not known; give `--seconds`"
                .to_owned(),
        );
    } else if args.seconds.is_none() && took < FEW_SECONDS {
        warnings.push(format!(
            "the calls that were measured took {} ms on average, and a ledger counts whole milliseconds: how many there \
             are at the same time is a guess; give `--seconds`",
            number(took * 1000.0)
        ));
    }
    if seen.seconds < TRIAL_SECONDS {
        warnings.push(format!(
            "all calls that were measured lie within {} s, which is no load: rates are those of this time alone, not of \
             a busiest minute; measure for a minute or longer, or give `--qps` and `--throughput`",
            number(seen.seconds)
        ));
        let has_cost = args.prices.is_some() || seen.cost_per_call.0 > 0;
        if args.average_qps.is_none() && has_cost {
            warnings.push(
                "what calls cost a month is what they would if each second of it were as these: give `--average-qps`"
                    .to_owned(),
            );
        }
    }
    warnings
}

fn text(answer: &Answer) -> String {
    let Answer { plan, .. } = answer;
    let noun = if plan.replicas == 1 { "replica" } else { "replicas" };
    let mut lines = vec![format!(
        "{} {noun} for {} calls a second with {} tokens each",
        plan.replicas,
        number(plan.load.qps),
        number(plan.load.tokens_per_response)
    )];
    lines.push(format!(
        "  tokens    {} a second; {} of a replica; {:.0} % used at the busiest, {:.0} % of the need kept free",
        number(plan.tokens_per_second),
        number(plan.replica.tokens_per_second),
        plan.utilisation * 100.0,
        plan.headroom * 100.0
    ));
    if let (Some(in_flight), Some(seconds)) = (plan.in_flight, plan.load.seconds_per_response) {
        let decides = if plan.limited_by == LimitedBy::Slots { ", which decides" } else { "" };
        let slots = plan.replica.slots.map(|it| format!(" of {} slots{decides}", number(it)));
        lines.push(format!(
            "  at once   {} calls (a call takes {} s); {} a replica{}",
            number(in_flight),
            number(seconds),
            number(plan.in_flight_per_replica.unwrap_or_default()),
            slots.unwrap_or_default()
        ));
    }
    if let Some(cost) = answer.replicas_a_month {
        lines.push(format!("  a month   {} for the replicas", whole_usd(cost)));
    }
    if let Some(cost) = answer.calls_a_month {
        let rate = number(answer.average_qps);
        lines.push(format!(
            "  a month   {} by the token, at {rate} calls a second",
            whole_usd(cost)
        ));
    }
    if let Some(seen) = &answer.measured {
        lines.push(format!(
            "  measured  {} calls in {} s; {} a second at the busiest, {} at the same time at most",
            seen.calls,
            number(seen.seconds),
            number(seen.busiest_qps),
            seen.in_flight_at_most
        ));
    }
    lines.extend(answer.warnings.iter().map(|it| format!("  warning   {it}")));
    lines.join("\n")
}

/// Three digits that say something, and no more; what is small is not called 0.
fn number(value: f64) -> String {
    let size = value.abs();
    let digits = if size >= 100.0 {
        0
    } else if !(1e-9..0.1).contains(&size) {
        2
    } else if size >= 0.001 {
        5
    } else {
        9
    };
    let text = format!("{value:.digits$}");
    let is_fraction = text.contains('.');
    if is_fraction { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// In whole cents.
fn whole_usd(amount: UsdNanos) -> String {
    let cents = amount.0 / (UsdNanos::PER_USD / 100);
    format!("{}.{:02} USD", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_number_is_not_called_nothing() {
        let shown = [7000.0, 46.666, 0.5, 0.0, 0.042, 0.0014, 0.000_25].map(number);
        assert_eq!(shown, ["7000", "46.67", "0.5", "0", "0.042", "0.0014", "0.00025"]);
    }
}
