//! `trunkline shadow`: how candidates do that answer a share of the calls of a gateway as well.

use reqwest::Method;
use serde_json::Value;

use super::queue::gateway::{Gateway, GatewayArgs};
use crate::cli::failure::Exit;
use crate::cli::session::Session;

/// Arguments of `trunkline shadow`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It asks a gateway whose file has `[[shadow]]`, with one of its keys: docs/shadow.md. The address is `--url`,
TRUNKLINE_GATEWAY_URL or OPENAI_BASE_URL; the key is in `--key-file`, TRUNKLINE_GATEWAY_KEY or OPENAI_API_KEY. A key
of a team hears of the calls of its own team alone.

Examples:
  trunkline shadow list --url https://gateway.example.org --key-file key.txt
  trunkline shadow report mini --since 7d
  trunkline shadow report mini --metrics >> \"$TRUNKLINE_METRICS\"      in a stage, for its gate")]
pub struct ShadowArgs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    gateway: GatewayArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List candidates
    List,
    /// Compare a candidate's answers with those that clients got
    Report {
        /// Its name
        name: String,
        /// Of calls not older than this, such as `30m`, `24h`, `7d`
        #[arg(long, value_name = "SPAN", default_value = "24h")]
        since: String,
        /// As JSON lines for `$TRUNKLINE_METRICS`
        #[arg(long)]
        metrics: bool,
    },
}

/// Does it.
pub async fn execute(session: &Session, args: &ShadowArgs) -> anyhow::Result<Exit> {
    let gateway = Gateway::of(session, &args.gateway)?;
    match &args.action {
        Action::List => {
            let list = gateway.send(gateway.request(Method::GET, "/trunkline/shadow")).await?;
            if session.output.json {
                session.output.json(&list)?;
                return Ok(Exit::Passed);
            }
            let all = list.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
            if all.is_empty() {
                session.output.line("there is no candidate that this key may see")?;
            }
            for shadow in &all {
                session.output.line(&line(shadow))?;
            }
        }
        Action::Report { name, since, metrics } => {
            let path = format!("/trunkline/shadow/{name}");
            let request = gateway.request(Method::GET, &format!("{path}?since={since}"));
            let report = gateway.send(request).await?;
            if *metrics {
                for (name, value) in
                    report.get("metrics").and_then(Value::as_object).into_iter().flatten()
                {
                    session.output.line(&serde_json::json!({ name: value }).to_string())?;
                }
            } else if session.output.json {
                session.output.json(&report)?;
            } else {
                tell(session, &report)?;
            }
        }
    }
    Ok(Exit::Passed)
}

/// `mini  5 % for m-small; 120 made, 0 dropped by this process`
fn line(shadow: &Value) -> String {
    let text = |name: &str| shadow.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| shadow.get(name).cloned().unwrap_or_default();
    let what = match (text("model"), text("prompt")) {
        ("", "") => format!("the index {} in place of {}", text("index"), text("of")),
        (model, "") => model.to_owned(),
        ("", prompt) => prompt.to_owned(),
        (model, prompt) => format!("{model} with {prompt}"),
    };
    format!(
        "{}  {} % for {what}; {} made, {} dropped by this process",
        text("name"),
        shadow.get("percent").and_then(Value::as_f64).unwrap_or_default(),
        number("made"),
        number("dropped")
    )
}

fn tell(session: &Session, shadow: &Value) -> anyhow::Result<()> {
    let output = &session.output;
    output.line(&line(shadow))?;
    let at = |path: &str| shadow.pointer(&format!("/report{path}")).cloned().unwrap_or_default();
    output.line(&format!("{} pairs, {} compared", at("/pairs"), at("/compared")))?;
    for (reason, count) in at("/missing").as_object().into_iter().flatten() {
        output.line(&format!("  {count} copies without an answer: {reason}"))?;
    }
    output.line(&format!("{:32} {:>12} {:>12}", "", "primary", "candidate"))?;
    for (name, shown) in ROWS {
        let side = |side: &str| figure(&at(&format!("/{side}/{name}")));
        let (primary, candidate) = (side("primary"), side("candidate"));
        output.line(&format!("{shown:32} {primary:>12} {candidate:>12}"))?;
    }
    for (name, shown) in [("similarity", "similarity of texts"), ("overlap", "overlap of hits")] {
        let mean = at(&format!("/{name}/mean"));
        if mean.is_null() && name == "overlap" {
            continue;
        }
        let (mean, p10) = (figure(&mean), figure(&at(&format!("/{name}/p10"))));
        output.line(&format!("{shown}: {mean} on average, 9 in 10 at least {p10}"))?;
    }
    Ok(())
}

/// What is shown of both sides.
const ROWS: [(&str, &str); 9] = [
    ("p50_ms", "p50, ms"),
    ("p95_ms", "p95, ms"),
    ("first_p50_ms", "p50 to the first piece, ms"),
    ("first_p95_ms", "p95 to the first piece, ms"),
    ("cost_per_1k_requests_usd", "USD for 1,000 calls"),
    ("output_tokens", "tokens of an answer"),
    ("error_rate", "without an answer"),
    ("refusal_rate", "refusals"),
    ("schema_valid_rate", "answers that fit the schema"),
];

fn figure(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        Value::Number(number) => format!("{:.4}", number.as_f64().unwrap_or_default()),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            "-".to_owned()
        }
    }
}
