//! How far a budget is used, as a bar and in words. Pure.

use std::fmt::Write as _;

use crate::desk::server::budgets::Used;
use crate::desk::server::budgets::standing::Standing;
use crate::desk::server::budgets::view::BudgetView;
use crate::model::{Timestamp, UsdNanos};
use crate::store::spend::budgets::BudgetRow;
use crate::ui::form::encoded;
use crate::ui::runs::{grouped, price};

/// From so many percent on it is nearly used, and used.
const NEAR: u8 = 80;
const FULL: u8 = 100;

/// A budget with its most used account.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) path: String,
    /// `$200.00 a month`
    pub(super) limit: String,
    /// `team=shop run=*`, or `all calls`.
    pub(super) scope: String,
    pub(super) is_soft: bool,
    pub(super) most: Option<Level>,
    /// Accounts beside that one.
    pub(super) more: usize,
}

/// What is used of one account.
pub(super) struct Level {
    /// Of which.
    pub(super) account: String,
    pub(super) percent: u8,
    pub(super) svg: String,
    /// `$90.00 of $200.00`, and the same in tokens.
    pub(super) used: Vec<String>,
    /// What is set aside, where that is something.
    pub(super) reserved: Option<String>,
    /// What of it processes may have spent that died, where that is something.
    pub(super) lost: Option<String>,
    pub(super) requests: String,
    /// When counting began, where that is in the midst of the window: what was spent before does not count.
    pub(super) since: Option<Timestamp>,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) prospect: Coming,
}

/// What comes of it.
pub(super) enum Coming {
    /// Nobody has looked, or it makes no sense.
    Unsaid,
    /// Too little is known.
    Unknown,
    /// It is used up.
    UsedUp,
    /// It will be.
    UsedUpAt(Timestamp),
    /// It will not be, but come to this.
    Enough(String),
}

/// The page of a budget.
pub(super) fn path(row: &BudgetRow) -> String {
    match row.id.split_once('/') {
        Some((team, name)) => format!("/teams/{}/budgets/{}", encoded(team), encoded(name)),
        None => format!("/budgets/{}", encoded(&row.id)),
    }
}

impl Bar {
    pub(super) fn of(standing: &Standing) -> Self {
        let view = BudgetView::from(standing.row.clone());
        let scope: Vec<_> =
            view.scope.iter().map(|(kind, name)| format!("{kind}={name}")).collect();
        let level = |it: &Used| Level::of(&standing.row, it, standing.is_foreseen);
        Self {
            name: view.id,
            path: path(&standing.row),
            limit: limit(&standing.row),
            scope: if scope.is_empty() { "all calls".to_owned() } else { scope.join(" ") },
            is_soft: standing.row.mode == "soft",
            most: standing.used.first().map(level),
            more: standing.used.len().saturating_sub(1),
        }
    }
}

/// `$200.00 and 5,000 tokens a month`
fn limit(row: &BudgetRow) -> String {
    let money = row.money.map(price);
    let tokens = row.tokens.map(|it| format!("{} tokens", grouped(it)));
    let ceiling = row.per_thousand.map(|it| format!("{} for 1,000 requests", price(it)));
    let all: Vec<_> = [money, tokens, ceiling].into_iter().flatten().collect();
    let window = match row.span.as_str() {
        "hour" => " an hour",
        "day" => " a day",
        "month" => " a month",
        _ => "",
    };
    format!("{}{window}", all.join(" and "))
}

impl Level {
    pub(super) fn of(row: &BudgetRow, used: &Used, is_foreseen: bool) -> Self {
        let account = &used.row;
        let money = used.limit.map(|it| format!("{} of {}", price(account.spent), price(it)));
        let tokens = row
            .tokens
            .map(|it| format!("{} of {} tokens", grouped(account.spent_tokens), grouped(it)));
        let reserved = match used.limit {
            Some(_) => (account.granted.0 > 0).then(|| price(account.granted)),
            None => (account.granted_tokens > 0)
                .then(|| format!("{} tokens", grouped(account.granted_tokens))),
        };
        let lost = match used.limit {
            Some(_) => (account.lost.0 > 0).then(|| price(account.lost)),
            None => (account.lost_tokens > 0)
                .then(|| format!("{} tokens", grouped(account.lost_tokens))),
        };
        Self {
            account: account.account.clone(),
            percent: used.percent,
            svg: svg(row, used),
            used: [money, tokens].into_iter().flatten().collect(),
            reserved,
            lost,
            requests: grouped(account.requests),
            since: Some(row.counted_from)
                .filter(|it| used.ends_at.is_some() && *it > account.began_at),
            ends_at: used.ends_at,
            prospect: coming(row, used, is_foreseen),
        }
    }
}

fn coming(row: &BudgetRow, used: &Used, is_foreseen: bool) -> Coming {
    if used.percent >= FULL {
        return Coming::UsedUp;
    }
    // It never ends, or its ceiling grows with what is used.
    if !is_foreseen
        || used.ends_at.is_none()
        || (row.per_thousand.is_some() && row.tokens.is_none())
    {
        return Coming::Unsaid;
    }
    let Some(prospect) = used.prospect else { return Coming::Unknown };
    match (prospect.used_up_at, prospect.money, prospect.tokens) {
        (Some(at), ..) => Coming::UsedUpAt(at),
        (None, Some(money), _) => Coming::Enough(price(money)),
        (None, None, Some(tokens)) => Coming::Enough(format!("{} tokens", grouped(tokens))),
        (None, None, None) => Coming::Unknown,
    }
}

/// Spent, set aside and what it comes to, in hundredths of the limit.
fn svg(row: &BudgetRow, used: &Used) -> String {
    let of = |amount: i64, limit: i64| {
        let part = i128::from(amount.max(0)) * 100 / i128::from(limit.max(1));
        i64::try_from(part.min(100)).unwrap_or(100)
    };
    let money = used
        .limit
        .map(|UsdNanos(limit)| (of(used.row.spent.0, limit), of(used.row.granted.0, limit), limit));
    let tokens = row
        .tokens
        .map(|limit| (of(used.row.spent_tokens, limit), of(used.row.granted_tokens, limit), limit));
    let is_of_tokens = tokens.map(|it| it.0) > money.map(|it| it.0);
    let Some((spent, held, limit)) = (if is_of_tokens { tokens } else { money.or(tokens) }) else {
        return String::new();
    };
    let class = match used.percent {
        FULL.. => " over",
        NEAR..FULL => " near",
        0..NEAR => "",
    };
    let percent = used.percent;
    let mut svg = format!(
        "<svg class=\"used-bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{percent} % used\">\
         <rect class=\"room\" width=\"100\" height=\"8\"/><rect class=\"spent{class}\" width=\"{spent}\" height=\"8\"/>"
    );
    let held = held.min(100 - spent);
    if held > 0 {
        let _ = write!(svg, "<rect class=\"held\" x=\"{spent}\" width=\"{held}\" height=\"8\"/>");
    }
    let prospect = used.prospect.unwrap_or_default();
    let comes_to = if is_of_tokens {
        prospect.tokens
    } else {
        prospect.money.map(|it| it.0).or(prospect.tokens)
    };
    if let Some(comes_to) = comes_to {
        let at = of(comes_to, limit).min(99);
        let _ = write!(svg, "<path class=\"mark\" d=\"M{at} 0V8\"/>");
    }
    svg.push_str("</svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::server::budgets::Prospect;
    use crate::store::spend::accounts::AccountRow;

    const USD: i64 = UsdNanos::PER_USD;

    fn row() -> BudgetRow {
        BudgetRow {
            id: "shop/month".to_owned(),
            team: "shop".to_owned(),
            scope: "{\"team\":\"shop\"}".to_owned(),
            span: "month".to_owned(),
            money: Some(UsdNanos(200 * USD)),
            mode: "hard".to_owned(),
            ..BudgetRow::default()
        }
    }

    fn used(spent: i64, granted: i64, percent: u8) -> Used {
        let account = AccountRow {
            budget: "shop/month".to_owned(),
            account: "team=shop".to_owned(),
            began_at: Timestamp(0),
            spent: UsdNanos(spent * USD),
            spent_tokens: 0,
            lost: UsdNanos(0),
            lost_tokens: 0,
            requests: 1234,
            overrun: UsdNanos(0),
            overrun_tokens: 0,
            granted: UsdNanos(granted * USD),
            granted_tokens: 0,
            max_money: None,
            max_tokens: None,
            alerted: 0,
            short_at: Timestamp(0),
            used_at: Timestamp(0),
        };
        Used {
            row: account,
            ends_at: Some(Timestamp(9)),
            limit: Some(UsdNanos(200 * USD)),
            percent,
            prospect: None,
        }
    }

    #[test]
    fn a_bar_shows_what_is_spent_set_aside_and_to_come() {
        let mut it = used(90, 20, 45);
        it.prospect = Some(Prospect { money: Some(UsdNanos(150 * USD)), ..Prospect::default() });
        let svg = svg(&row(), &it);
        for wanted in [
            "aria-label=\"45 % used\"",
            "class=\"spent\" width=\"45\"",
            "class=\"held\" x=\"45\" width=\"10\"",
            "M75 0V8",
        ] {
            assert!(svg.contains(wanted), "`{wanted}` is not in {svg}");
        }
        assert!(super::svg(&row(), &used(500, 20, 250)).contains("spent over\" width=\"100\""));
    }

    #[test]
    fn what_comes_of_it_is_said_where_it_can_be() {
        let level = |it: &Used| Level::of(&row(), it, true);
        assert!(matches!(level(&used(200, 0, 100)).prospect, Coming::UsedUp));
        assert!(matches!(level(&used(90, 0, 45)).prospect, Coming::Unknown));
        let mut it = used(90, 0, 45);
        it.prospect = Some(Prospect { used_up_at: Some(Timestamp(7)), ..Prospect::default() });
        assert!(matches!(level(&it).prospect, Coming::UsedUpAt(Timestamp(7))));
        assert_eq!(level(&it).used, ["$90.00 of $200.00"]);
        assert_eq!(level(&it).lost, None);
        it.row.lost = UsdNanos(5 * USD);
        assert_eq!(level(&it).lost.as_deref(), Some("$5.00"));
        let late = BudgetRow { counted_from: Timestamp(5), ..row() };
        assert_eq!(Level::of(&late, &it, true).since, Some(Timestamp(5)));
        assert_eq!(level(&it).since, None, "made before the window began, or with it");
        assert_eq!(limit(&row()), "$200.00 a month");
        assert_eq!(path(&row()), "/teams/shop/budgets/month");
        let all = BudgetRow { id: "all".to_owned(), ..row() };
        assert_eq!(path(&all), "/budgets/all");
    }
}
