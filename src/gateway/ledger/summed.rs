//! Sums over the file of a ledger (`trunkline gateway`), as the store makes them of its table. The file is only read,
//! and its gateway may go on writing it: a last line that is not whole is one that is being written.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::row::{Origin, count, owner};
use super::written::{self, Call, Written};
use crate::gateway::budget::scope::{Kind, Subject};
use crate::gateway::budget::{CallId, Close, Entry};
use crate::model::{Timestamp, UsdNanos};
use crate::store::spend::calls::{OF_REPORTS, Owner};
use crate::store::spend::sums::{SpendBy, SpendFilter, SpendRow};

/// Lines that cannot be read of which is said why.
const DAMAGED_MAX: usize = 20;
const DAY_MS: i64 = 86_400_000;

/// What a file comes to.
#[derive(Debug, Default)]
pub struct Summed {
    /// Sums, the dearest first.
    pub rows: Vec<SpendRow>,
    /// Lines that were read.
    pub lines: u64,
    /// Lines that cannot be read, which are in no sum.
    pub damaged: u64,
    /// The first of those: their numbers, and why.
    pub reasons: Vec<(u64, String)>,
}

/// Sums up the file of a ledger.
pub fn of_file(path: &Path, by: SpendBy, filter: &SpendFilter) -> io::Result<Summed> {
    of_lines(BufReader::new(File::open(path)?), by, filter)
}

fn of_lines(mut lines: impl BufRead, by: SpendBy, filter: &SpendFilter) -> io::Result<Summed> {
    let (mut sums, mut line) = (Sums::new(by, filter), Vec::new());
    let mut summed = Summed::default();
    loop {
        line.clear();
        lines.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            break;
        }
        match written::read(&line) {
            Ok(written) => {
                summed.lines += 1;
                sums.take(written);
            }
            Err(why) => {
                summed.damaged += 1;
                let number = summed.lines + summed.damaged;
                if summed.reasons.len() < DAMAGED_MAX {
                    summed.reasons.push((number, why));
                }
            }
        }
    }
    Ok(Summed { rows: sums.finish(), ..summed })
}

/// What was spent, and whose it is.
#[derive(Debug)]
struct Spent {
    at: Timestamp,
    owner: Owner,
    model: String,
    tags: String,
    row: SpendRow,
}

struct Sums<'a> {
    by: SpendBy,
    filter: &'a SpendFilter,
    rows: BTreeMap<String, SpendRow>,
    /// Calls that were let through and not closed yet.
    open: HashMap<CallId, (Subject, Timestamp)>,
    /// Calls that nobody settled: they count at their estimate, unless it is told later what they cost.
    expired: HashMap<CallId, Spent>,
}

impl<'a> Sums<'a> {
    fn new(by: SpendBy, filter: &'a SpendFilter) -> Self {
        let (rows, open, expired) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        Self { by, filter, rows, open, expired }
    }

    fn take(&mut self, written: Written) {
        match written {
            Written::Entry(Entry::Reserved { reservation, at }) => {
                self.open.insert(reservation.id, (reservation.subject, at));
            }
            Written::Entry(Entry::Closed { id, cost, close: Close::Expired }) => {
                if let Some((subject, at)) = self.open.remove(&id) {
                    self.expired.insert(id, Spent::of_expired(&subject, at, cost.money));
                }
            }
            Written::Entry(Entry::Closed {
                id,
                cost: _,
                close: Close::Settled | Close::Cancelled | Close::Corrected,
            }) => {
                self.open.remove(&id);
                self.expired.remove(&id);
            }
            Written::Call(call) => self.add(&Spent::from(*call)),
            Written::Alert {} => {}
        }
    }

    fn finish(mut self) -> Vec<SpendRow> {
        for spent in std::mem::take(&mut self.expired).into_values() {
            self.add(&spent);
        }
        let named = |(name, row)| SpendRow { name, ..row };
        let mut rows: Vec<_> = self.rows.into_iter().map(named).collect();
        rows.sort_by(|one, other| {
            other.cost.cmp(&one.cost).then_with(|| one.name.cmp(&other.name))
        });
        rows.truncate(usize::try_from(self.filter.limit).unwrap_or(usize::MAX));
        rows
    }

    fn add(&mut self, spent: &Spent) {
        if !self.is_wanted(spent) {
            return;
        }
        for name in self.names(spent) {
            add(self.rows.entry(name).or_default(), &spent.row);
        }
    }

    fn is_wanted(&self, spent: &Spent) -> bool {
        let (filter, owner) = (self.filter, &spent.owner);
        let parts = [
            (&filter.organisation, &owner.organisation),
            (&filter.project, &owner.project),
            (&filter.pipeline, &owner.pipeline),
            (&filter.run, &owner.run),
            (&filter.stage, &owner.stage),
            (&filter.endpoint, &owner.endpoint),
            (&filter.model, &spent.model),
        ];
        let is_in_time = spent.at >= filter.from && spent.at < filter.to;
        let is_of_team = filter.teams.as_ref().is_none_or(|it| it.contains(&owner.team));
        let has_tag = filter.tag.is_empty() || spent.tags().any(|it| it == filter.tag);
        let fits = parts.iter().all(|(wanted, own)| wanted.is_empty() || wanted == own);
        is_in_time && is_of_team && has_tag && fits
    }

    /// The sums that a call belongs to: several for its tags.
    fn names(&self, spent: &Spent) -> Vec<String> {
        let owner = &spent.owner;
        let name = match self.by {
            SpendBy::Team => &owner.team,
            SpendBy::Project => &owner.project,
            SpendBy::Pipeline => &owner.pipeline,
            SpendBy::Run => &owner.run,
            SpendBy::Stage => &owner.stage,
            SpendBy::Endpoint => &owner.endpoint,
            SpendBy::Model => &spent.model,
            SpendBy::Day => return vec![(spent.at.0.div_euclid(DAY_MS) * DAY_MS).to_string()],
            SpendBy::Tag => {
                let wanted = &self.filter.tag;
                let tags = spent.tags().filter(|it| wanted.is_empty() || it == wanted);
                return tags.map(ToOwned::to_owned).collect();
            }
        };
        vec![name.clone()]
    }
}

impl Spent {
    /// As the store has it: without tokens, and with the model that was reserved for.
    fn of_expired(subject: &Subject, at: Timestamp, cost: UsdNanos) -> Self {
        let model = subject.get(Kind::Model).unwrap_or_default().to_owned();
        let row = SpendRow { attempts: 1, cost, ..SpendRow::default() };
        Self { at, owner: owner(subject), model, tags: String::new(), row }
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.split_whitespace()
    }
}

impl From<Call> for Spent {
    fn from(call: Call) -> Self {
        let is_report = call.operation == OF_REPORTS;
        let row = SpendRow {
            name: String::new(),
            attempts: i64::from(!is_report),
            answered_here: i64::from(call.origin != Origin::Live),
            input_tokens: count(call.usage.input_tokens()),
            output_tokens: count(call.usage.output_tokens()),
            cost: call.cost,
            avoided: call.avoided,
            lost: UsdNanos(0),
            reports: i64::from(is_report),
            reported: if is_report { call.cost } else { UsdNanos(0) },
        };
        let owner = owner(&call.subject);
        Self { at: call.at, owner, model: call.model, tags: call.tags, row }
    }
}

fn add(sum: &mut SpendRow, more: &SpendRow) {
    let plus = |one: UsdNanos, other: UsdNanos| UsdNanos(one.0.saturating_add(other.0));
    sum.attempts = sum.attempts.saturating_add(more.attempts);
    sum.answered_here = sum.answered_here.saturating_add(more.answered_here);
    sum.input_tokens = sum.input_tokens.saturating_add(more.input_tokens);
    sum.output_tokens = sum.output_tokens.saturating_add(more.output_tokens);
    sum.cost = plus(sum.cost, more.cost);
    sum.avoided = plus(sum.avoided, more.avoided);
    sum.lost = plus(sum.lost, more.lost);
    sum.reports = sum.reports.saturating_add(more.reports);
    sum.reported = plus(sum.reported, more.reported);
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: &str = r#"{"call":{"request":"a","attempt":1,"at":86400000,"key":"ci","subject":{"team":"core","run":"r1"},"operation":"chat_completions","provider":"p","model":"m1","origin":"live","usage":{"input":70,"output":30},"cost":500,"avoided":0,"tags":"beta tenant=acme"}}
{"call":{"request":"b","attempt":1,"at":86400001,"key":"ci","subject":{"team":"core"},"operation":"chat_completions","provider":"p","model":"m2","origin":"cache","usage":{"input":7},"cost":0,"avoided":40,"tags":"beta"}}
{"call":{"request":"c","attempt":1,"at":172800000,"key":"ci","subject":{"team":"shop"},"operation":"usage","provider":"p","model":"index","origin":"live","usage":{"queries":2},"cost":20,"avoided":0}}
{"alert":{"budget":"all"}}
"#;

    fn filter() -> SpendFilter {
        SpendFilter { to: Timestamp(i64::MAX), limit: 100, ..SpendFilter::default() }
    }

    fn check(text: &str, by: SpendBy, filter: &SpendFilter) -> String {
        let summed = of_lines(text.as_bytes(), by, filter).unwrap();
        let show = |it: &SpendRow| format!("{}:{}/{}", it.name, it.cost.0, it.attempts);
        summed.rows.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn calls_are_summed_up_by_each_word() {
        let all = filter();
        assert_eq!(check(CALLS, SpendBy::Model, &all), "m1:500/1 index:20/0 m2:0/1");
        assert_eq!(check(CALLS, SpendBy::Team, &all), "core:500/2 shop:20/0");
        assert_eq!(check(CALLS, SpendBy::Run, &all), "r1:500/1 :20/1");
        assert_eq!(check(CALLS, SpendBy::Day, &all), "86400000:500/2 172800000:20/0");
        assert_eq!(check(CALLS, SpendBy::Tag, &all), "beta:500/2 tenant=acme:500/1");
        let summed = of_lines(CALLS.as_bytes(), SpendBy::Team, &all).unwrap();
        let core = &summed.rows[0];
        assert_eq!((core.input_tokens, core.output_tokens, core.answered_here), (77, 30, 1));
        assert_eq!((core.avoided, summed.rows[1].reports), (UsdNanos(40), 1));
        assert_eq!(summed.rows[1].reported, UsdNanos(20));
    }

    #[test]
    fn only_what_is_asked_for_counts() {
        let acme = SpendFilter { tag: "tenant=acme".to_owned(), ..filter() };
        assert_eq!(check(CALLS, SpendBy::Tag, &acme), "tenant=acme:500/1");
        assert_eq!(check(CALLS, SpendBy::Model, &acme), "m1:500/1");
        let shop = SpendFilter { teams: Some(vec!["shop".to_owned()]), ..filter() };
        assert_eq!(check(CALLS, SpendBy::Model, &shop), "index:20/0");
        let model = SpendFilter { model: "m2".to_owned(), ..filter() };
        assert_eq!(check(CALLS, SpendBy::Model, &model), "m2:0/1");
        let late = SpendFilter { from: Timestamp(86_400_001), ..filter() };
        assert_eq!(check(CALLS, SpendBy::Model, &late), "index:20/0 m2:0/1");
        let dearest = SpendFilter { limit: 1, ..filter() };
        assert_eq!(check(CALLS, SpendBy::Model, &dearest), "m1:500/1");
    }

    #[test]
    fn a_call_that_nobody_settled_counts_until_it_is_told_what_it_cost() {
        let reserved = r#"{"entry":{"reserved":{"reservation":{"id":{"request":340282366920938463463374607431768211455,"attempt":1},"subject":{"model":"m9"},"estimate":{"money":90,"tokens":1},"deadline":9},"at":5}}}"#;
        let closed = |close: &str| {
            format!(
                r#"{{"entry":{{"closed":{{"id":{{"request":340282366920938463463374607431768211455,"attempt":1}},"cost":{{"money":90,"tokens":1}},"close":"{close}"}}}}}}"#
            )
        };
        let expired = format!("{reserved}\n{}\n", closed("expired"));
        assert_eq!(check(&format!("{reserved}\n"), SpendBy::Model, &filter()), "");
        assert_eq!(check(&expired, SpendBy::Model, &filter()), "m9:90/1");
        let corrected = format!("{expired}{}\n{CALLS}", closed("corrected"));
        assert_eq!(check(&corrected, SpendBy::Model, &filter()), "m1:500/1 index:20/0 m2:0/1");
    }

    #[test]
    fn damaged_lines_are_named_and_a_half_written_one_is_not() {
        let first = CALLS.lines().next().unwrap();
        let text = format!("{first}\n{{\"call\":7}}\n{first}\nno json\n{{\"call\":{{\"cost\"");
        let summed = of_lines(text.as_bytes(), SpendBy::Model, &filter()).unwrap();
        assert_eq!((summed.lines, summed.damaged, summed.rows[0].attempts), (2, 2, 2));
        let numbers: Vec<_> = summed.reasons.iter().map(|it| it.0).collect();
        assert_eq!(numbers, [2, 4]);
        let many = of_lines("x\n".repeat(1000).as_bytes(), SpendBy::Model, &filter()).unwrap();
        assert_eq!((many.damaged, many.reasons.len()), (1000, DAMAGED_MAX));
    }
}
