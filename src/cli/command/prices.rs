//! `trunkline prices`: what models cost, in a file of ours: taken from public lists, looked up, and looked through.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::failure::{Exit, Usage};
use crate::cli::session::Session;
use crate::gateway::prices::import::filter::{Filter, Unknown};
use crate::gateway::prices::import::{self, List, Listing, Skipped};
use crate::gateway::prices::merge::{self, Merged, Oddity};
use crate::gateway::prices::rate::Date;
use crate::gateway::prices::{self, PriceFile, PriceRow, text};
use crate::model::UsageClass;

/// Where prices are when nobody says.
const FILE: &str = "prices.toml";
/// The largest list that is read.
const LIST_BYTES_MAX: u64 = 64 << 20;
/// Names that are told for one reason.
const NAMES_MAX: usize = 5;

/// Arguments of `trunkline prices`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The lists are files that you have downloaded: LiteLLM's model_prices_and_context_window.json, models.dev/api.json, or
data_slim.json of genai-prices. An import only adds rows, each from a day on, and never changes one that is there: what
was charged stays what it was. `show` marks with `*` what holds on the day. `check` ends with 2 where something is odd,
but not for prices without `output` alone, as embeddings have them.

Examples:
  trunkline prices import model_prices_and_context_window.json --provider openai --provider anthropic
  trunkline prices import api.json --model 'gpt-*' --into prices.toml --from 2026-12-01 --dry-run
  trunkline prices show gpt-4.1-mini --provider openai
  trunkline prices show claude-sonnet-4-5 --at 2026-11-01 --prices deploy/prices.toml --json
  trunkline prices check")]
pub struct PricesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Take the prices of a public list into a file; only those that changed
    Import(ImportArgs),
    /// Show what a model costs, and did cost
    Show {
        /// Its name
        model: String,
        /// Only at this provider
        #[arg(long, value_name = "NAME")]
        provider: Option<String>,
        /// On this day [default: today]
        #[arg(long, value_name = "DAY", value_parser = day)]
        at: Option<Date>,
        /// The price file
        #[arg(long, value_name = "FILE", default_value = FILE)]
        prices: PathBuf,
    },
    /// Say what is odd about a price file: rows that are never taken, that are there twice, that cost nothing,
    /// that have no price of answers
    Check {
        /// The price file
        #[arg(value_name = "FILE", default_value = FILE)]
        prices: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// The list
    list: PathBuf,
    /// The price file that gets the rows; it is made where there is none
    #[arg(long, value_name = "FILE", default_value = FILE)]
    into: PathBuf,
    /// What list it is: litellm, models.dev or genai-prices [default: what it looks like]
    #[arg(long, value_name = "LIST", value_parser = list)]
    format: Option<List>,
    /// Only prices of this provider, as the list calls it (repeatable)
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<String>,
    /// Only prices of models such as `gpt-*` (repeatable)
    #[arg(long = "model", value_name = "GLOB")]
    models: Vec<String>,
    /// The day from which on new prices hold, UTC [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Date>,
    /// Say what would be added, and write nothing
    #[arg(long)]
    dry_run: bool,
}

fn day(text: &str) -> Result<Date, String> {
    text.parse()
}

fn list(word: &str) -> Result<List, String> {
    let known = List::ALL.into_iter().find(|it| it.1 == word);
    known.map(|it| it.0).ok_or_else(|| "it is litellm, models.dev or genai-prices".to_owned())
}

/// Does what was asked.
pub fn execute(session: &Session, args: &PricesArgs) -> anyhow::Result<Exit> {
    match &args.action {
        Action::Import(args) => import(session, args)?,
        Action::Show { model, provider, at, prices } => {
            let at = at.unwrap_or(Date::of(session.now()));
            show(session, (model, provider.as_deref()), (at, prices))?;
        }
        Action::Check { prices } => return check(session, prices),
    }
    Ok(Exit::Passed)
}

fn import(session: &Session, args: &ImportArgs) -> anyhow::Result<()> {
    let text = read(&args.list)?;
    let wrong = |why: String| {
        let message = format!("`{}` cannot be taken: {why}", args.list.display());
        Usage::new(message, "`trunkline prices --help` says which lists there are")
    };
    let (list, mut listing) = import::read(&text, args.format).map_err(wrong)?;
    let filter = Filter { providers: &args.providers, models: &args.models };
    filter.keep(&mut listing).map_err(|it| not_there(&args.list, &it))?;
    let Listing { prices: listed, skipped, left_out } = listing;
    let (present, before) = match std::fs::read_to_string(&args.into) {
        Ok(text) => (parse(&args.into, &text)?.prices, Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), None),
        Err(error) => return Err(unreadable(&args.into, &error).into()),
    };
    let from = args.from.unwrap_or(Date::of(session.now()));
    let merged = merge::merge(&present, listed, from);
    if !merged.added.is_empty() && !args.dry_run {
        write(&args.into, before.as_deref(), &present, &merged)?;
    }
    let told = Told {
        list: list.as_str(),
        into: args.into.display().to_string(),
        from,
        is_dry: args.dry_run,
        merged,
        skipped: skipped.into_iter().map(|Skipped { source, why, .. }| (source, why)).collect(),
        left_out: left_out.into_iter().collect(),
    };
    if session.output.json { Ok(session.output.json(&told.json())?) } else { told.say(session) }
}

/// Nothing would be taken, and nobody told why.
fn not_there(list: &Path, Unknown { what, nearest, elsewhere }: &Unknown) -> Usage {
    let names = |names: &[String]| named(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let help = match (elsewhere.is_empty(), nearest.is_empty()) {
        (false, _) => format!("the list has it of {}", names(elsewhere)),
        (true, false) => format!("the list has {}", names(nearest)),
        (true, true) => "look at how the list spells it".to_owned(),
    };
    Usage::new(format!("`{}` has no {what}", list.display()), help)
}

/// What an import has done.
struct Told {
    list: &'static str,
    into: String,
    from: Date,
    is_dry: bool,
    merged: Merged,
    skipped: Vec<(String, String)>,
    left_out: Vec<(String, usize)>,
}

impl Told {
    fn json(&self) -> serde_json::Value {
        let pair = |(name, why): &(String, String)| json!({ "name": name, "why": why });
        let row = |it: &merge::Added| json!({ "is_change": it.is_change, "row": it.row });
        json!({
            "list": self.list, "into": self.into, "from": self.from, "dry_run": self.is_dry,
            "added": self.merged.added.iter().map(row).collect::<Vec<_>>(),
            "unchanged": self.merged.unchanged,
            "kept": self.merged.kept.iter().map(pair).collect::<Vec<_>>(),
            "skipped": self.skipped.iter().map(pair).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(|(name, count)| json!({ "price": name, "models": count })).collect::<Vec<_>>(),
        })
    }

    fn say(&self, session: &Session) -> anyhow::Result<()> {
        let output = &session.output;
        let changed = self.merged.added.iter().filter(|it| it.is_change);
        let (all, changes) = (self.merged.added.len(), changed.clone().count());
        let would = if self.is_dry { "would get" } else { "has got" };
        output.line(&format!(
            "`{}` {would} {} of the list of {} from {} on: {} new, {changes} changed; {} as before",
            self.into,
            counted(all, "row"),
            self.list,
            self.from,
            all - changes,
            self.merged.unchanged
        ))?;
        for it in changed.take(NAMES_MAX * 4) {
            output.line(&format!("  changed  {}", line(&it.row)))?;
        }
        for (why, names) in grouped(&self.merged.kept) {
            output.line(&format!("  not taken, {why}: {}", named(&names)))?;
        }
        for (why, names) in grouped(&self.skipped) {
            output.line(&format!("  skipped, {why}: {}", named(&names)))?;
        }
        for (price, models) in &self.left_out {
            output.line(&format!("  left out `{price}` of {}", counted(*models, "model")))?;
        }
        Ok(())
    }
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Names by what is said of them, in the order of that.
fn grouped(pairs: &[(String, String)]) -> Vec<(String, Vec<&str>)> {
    let mut groups = std::collections::BTreeMap::<&str, Vec<&str>>::new();
    for (name, why) in pairs {
        groups.entry(why).or_default().push(name);
    }
    groups.into_iter().map(|(why, names)| (why.to_owned(), names)).collect()
}

fn named(names: &[&str]) -> String {
    let first: Vec<_> = names.iter().take(NAMES_MAX).map(|it| format!("`{it}`")).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// Adds the rows behind what is there, whole or not at all. What was there stays letter by letter.
fn write(
    path: &Path,
    before: Option<&str>,
    present: &[PriceRow],
    merged: &Merged,
) -> anyhow::Result<()> {
    let rows = merged.added.iter().map(|it| it.row.clone());
    let text = if is_json(path) {
        let prices = present.iter().cloned().chain(rows).collect();
        let file = PriceFile { version: 1, currency: prices::Currency::Usd, prices };
        format!("{}\n", serde_json::to_string_pretty(&file)?)
    } else {
        let head = before.unwrap_or(text::HEAD).trim_end();
        let added: String = rows.map(|it| text::toml(&it)).collect();
        format!("{head}\n{added}")
    };
    let read = parse(path, &text)?.prices;
    anyhow::ensure!(read.starts_with(present), "what was written would not be what was there");
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, path)).map_err(|it| {
        let message = format!("`{}` cannot be written: {it}", path.display());
        Usage::new(message, "name a file that may be written with `--into`").into()
    })
}

fn show(
    session: &Session,
    (model, provider): (&str, Option<&str>),
    (at, path): (Date, &Path),
) -> anyhow::Result<()> {
    let rows = parse(path, &read(path)?)?.prices;
    let mut providers: Vec<_> = rows.iter().map(|it| it.provider.as_str()).collect();
    providers.sort_unstable();
    providers.dedup();
    providers.retain(|it| provider.is_none_or(|wanted| wanted == *it));
    let mut found = Vec::new();
    for provider in providers {
        found.extend(merge::history(&rows, (provider, model), at.start()));
    }
    if found.is_empty() {
        let message = format!("`{}` has no price of `{model}`", path.display());
        let help = "look at how the file spells it, or at another with `--prices`";
        return Err(Usage::new(message, help).into());
    }
    if session.output.json {
        let row = |(row, holds): &(&PriceRow, bool)| json!({ "holds": holds, "row": row });
        return Ok(session.output.json(&found.iter().map(row).collect::<Vec<_>>())?);
    }
    for (row, holds) in found {
        let mark = if holds { "*" } else { " " };
        let of =
            if row.model.names(model) { String::new() } else { format!("  (for `{}`)", row.model) };
        session.output.line(&format!("{mark} {}{of}", line(row)))?;
    }
    Ok(())
}

/// `openai/gpt-9  from 2026-11-01  input 2.50, output 10 USD a million tokens; above 200000: input 5; batch: input 1.25`
fn line(row: &PriceRow) -> String {
    let word = |class: &UsageClass| {
        let value = serde_json::to_value(class).unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
    };
    let rates = |it: &prices::rate::Rates| {
        let million = it.per_million.iter().map(|(class, rate)| format!("{} {rate}", word(class)));
        let thousand = it
            .per_thousand
            .iter()
            .map(|(class, rate)| format!("{} {rate} a thousand", word(class)));
        million.chain(thousand).collect::<Vec<_>>().join(", ")
    };
    let from = row.from.map_or_else(|| "always".to_owned(), |it| format!("from {it}"));
    let hours = row.hours.map(|(from, to)| format!(" {from} to {to}")).unwrap_or_default();
    let mut text = format!("{}  {from}{hours}  {} USD a million tokens", row.id, rates(&row.rates));
    for above in &row.above {
        text += &format!("; above {}: {}", above.input_tokens, rates(&above.rates));
    }
    for (tier, of_tier) in &row.tier {
        text += &format!("; {tier}: {}", rates(of_tier));
    }
    if let Some(tokens) = row.max_output {
        text += &format!("; {tokens} tokens an answer at most");
    }
    text
}

fn check(session: &Session, path: &Path) -> anyhow::Result<Exit> {
    let rows = parse(path, &read(path)?)?.prices;
    let odd = merge::oddities(&rows);
    if session.output.json {
        let told = |it: &Oddity| json!({ "id": it.id, "what": it.what });
        let odd: Vec<_> = odd.iter().map(told).collect();
        session.output.json(&json!({ "rows": rows.len(), "odd": odd }))?;
    } else {
        for it in &odd {
            session.output.line(&format!("{}: {}", it.id, it.what))?;
        }
        let said =
            if odd.is_empty() { "nothing is odd".to_owned() } else { format!("{} odd", odd.len()) };
        session.output.line(&format!(
            "`{}`: {}, {said}",
            path.display(),
            counted(rows.len(), "row")
        ))?;
    }
    let is_meant = odd.iter().all(|it| it.may_be_meant);
    Ok(if is_meant { Exit::Passed } else { Exit::Usage })
}

fn parse(path: &Path, text: &str) -> Result<PriceFile, Usage> {
    let read = if is_json(path) { prices::read_json(text) } else { prices::read_toml(text) };
    read.map_err(|it| {
        let message = format!("the prices `{}` are wrong: {it}", path.display());
        Usage::new(message, "docs/gateway.md shows what a price file has")
    })
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|it| it.eq_ignore_ascii_case("json"))
}

fn read(path: &Path) -> Result<String, Usage> {
    let size = std::fs::metadata(path).map_err(|it| unreadable(path, &it))?.len();
    if size > LIST_BYTES_MAX {
        let message = format!("`{}` is larger than 64 MiB", path.display());
        return Err(Usage::new(message, "that is no list of prices"));
    }
    std::fs::read_to_string(path).map_err(|it| unreadable(path, &it))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Usage {
    let message = format!("`{}` cannot be read: {error}", path.display());
    Usage::new(message, "name a file that is there")
}
