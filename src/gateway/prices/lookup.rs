//! Which row of a file is the price of a model. Pure. The gateway, `prices show` and `prices check` all ask here.

use super::PriceRow;
use crate::model::Timestamp;

/// The row of one file, whose rows of one provider these are, that a call at this moment is charged at. A row that has
/// the name in full counts before a pattern, and of patterns the first in the file; of rows with the same name or
/// pattern the one that has begun last, whatever their ids.
pub fn find<'a>(
    rows: impl Iterator<Item = &'a PriceRow> + Clone,
    model: &str,
    at: Timestamp,
) -> Option<&'a PriceRow> {
    let rows = rows.filter(|it| it.is_in_force(at));
    let named = rows.clone().filter(|it| it.model.names(model));
    if let Some(row) = latest(named) {
        return Some(row);
    }
    let pattern = &rows.clone().find(|it| it.model.matches(model))?.model;
    latest(rows.filter(|it| it.model == *pattern))
}

/// Of one day hours count before all day, and then the later row.
fn latest<'a>(rows: impl Iterator<Item = &'a PriceRow>) -> Option<&'a PriceRow> {
    rows.max_by_key(|it| (it.from, it.hours.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::prices::rate::Date;
    use crate::gateway::prices::{Prices, read_toml};

    fn row((id, model): (&str, &str), more: &str, price: u32) -> String {
        format!(
            "[[price]]\nid = \"{id}\"\nprovider = \"p\"\nmodel = {model}\n{more}\nper_million = {{ input = {price} }}\n"
        )
    }

    fn file(rows: &[String]) -> Vec<PriceRow> {
        let text = format!("version = 1\ncurrency = \"USD\"\n{}", rows.concat());
        read_toml(&text).unwrap().prices
    }

    fn noon(day: &str) -> Timestamp {
        Timestamp(day.parse::<Date>().unwrap().start().0 + 12 * 3_600_000)
    }

    /// The id of the row that counts, by the gateway.
    fn found(rows: &[PriceRow], model: &str, day: &str) -> String {
        let prices = Prices::new(rows.to_vec());
        let row = prices.find("p", model, noon(day));
        row.map_or_else(|| "none".to_owned(), |it| it.id.clone())
    }

    const JANUARY: &str = "from = \"2026-01-01\"";
    const JUNE: &str = "from = \"2026-06-01\"";

    #[test]
    fn a_new_price_counts_from_its_day_on_whatever_its_id_and_its_place() {
        for model in ["\"gpt-4o\"", "\"gpt-4*\"", "{ regex = \"^gpt-4o$\" }"] {
            let january = row(("january", model), JANUARY, 2);
            let june = row(("june", model), JUNE, 4);
            for rows in [[january.clone(), june.clone()], [june, january]] {
                let rows = file(&rows);
                let on = |day| found(&rows, "gpt-4o", day);
                assert_eq!(on("2025-12-31"), "none", "{model}");
                assert_eq!(on("2026-01-01"), "january", "{model}");
                assert_eq!(on("2026-05-31"), "january", "{model}");
                assert_eq!(on("2026-06-01"), "june", "{model}");
                assert_eq!(on("2026-11-30"), "june", "{model}");
            }
        }
    }

    #[test]
    fn a_name_in_full_counts_before_a_pattern_and_the_first_pattern_before_others() {
        let rows = file(&[
            row(("a", "\"*\""), "", 1),
            row(("a", "\"gpt-4o\""), "", 3),
            row(("g", "\"gpt-*\""), "", 4),
            row(("several", "[\"o3\", \"o4-*\"]"), "", 5),
        ]);
        let prices = Prices::new(rows.clone());
        let gpt = prices.find("p", "GPT-4o", noon("2026-01-01")).unwrap();
        assert_eq!(*gpt, rows[1], "the same id is not the same row");
        assert_eq!(found(&rows, "gpt-5", "2026-01-01"), "a");
        assert_eq!(found(&rows, "o3", "2026-01-01"), "several");
        assert_eq!(found(&rows, "o4-mini", "2026-01-01"), "a", "by a pattern of the list");
    }

    #[test]
    fn a_name_among_several_is_the_same_name() {
        let rows = file(&[
            row(("both", "[\"a\", \"b\"]"), JANUARY, 1),
            row(("a alone", "\"a\""), JUNE, 2),
        ]);
        assert_eq!(found(&rows, "a", "2026-05-01"), "both");
        assert_eq!(found(&rows, "a", "2026-07-01"), "a alone");
        assert_eq!(found(&rows, "b", "2026-07-01"), "both");
    }

    #[test]
    fn what_has_not_begun_hides_nothing() {
        let rows = file(&[row(("all", "\"*\""), "", 1), row(("own", "\"gpt-4o\""), JUNE, 2)]);
        assert_eq!(found(&rows, "gpt-4o", "2026-05-31"), "all");
        assert_eq!(found(&rows, "gpt-4o", "2026-06-01"), "own");
    }

    #[test]
    fn a_price_by_the_hour_counts_in_its_hours_wherever_it_stands() {
        let day = row(("day", "\"m\""), "", 2);
        let midday = row(("noon", "\"m\""), "hours = [\"11:00\", \"13:00\"]", 1);
        let night = row(("night", "\"m\""), "hours = [\"22:00\", \"06:00\"]", 1);
        for rows in [[midday.clone(), day.clone()], [day.clone(), midday]] {
            assert_eq!(found(&file(&rows), "m", "2026-01-01"), "noon");
        }
        for rows in [[night.clone(), day.clone()], [day, night]] {
            assert_eq!(found(&file(&rows), "m", "2026-01-01"), "day");
        }
    }

    #[test]
    fn the_first_file_that_has_a_price_counts() {
        let ours = file(&[row(("ours", "\"gpt-*\""), JANUARY, 1)]);
        let list = file(&[row(("list", "\"gpt-4o\""), JUNE, 2), row(("old", "\"gpt-4o\""), "", 3)]);
        let prices = Prices::of_files(vec![ours, list]);
        let on = |day: &str| prices.find("p", "gpt-4o", noon(day)).unwrap().id.clone();
        assert_eq!(on("2025-12-31"), "old", "ours has not begun");
        assert_eq!(
            on("2026-07-01"),
            "ours",
            "though the list has the name in full, and a later day"
        );
        assert_eq!(prices.len(), 3);
        assert!(prices.find("q", "gpt-4o", noon("2026-07-01")).is_none());
    }
}
