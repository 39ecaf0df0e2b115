//! Reports in a header of a call: a list of structured fields (RFC 9651, section 3.1), each an index with what was used of
//! it: `docs;provider=pinecone;id="q-17";queries=3;read_units=12, rerank;search_units=1`. Pure.

use hyper::HeaderMap;
use sfv::{BareItem, Item, List, ListEntry, Parser};

use super::report::{Report, class};

/// The header.
pub(in crate::gateway) const NAME: &str = "x-trunkline-usage";
/// Bytes of it, and reports in it.
const BYTES: usize = 4096;
const REPORTS: usize = 16;

/// The reports of a request; or what is wrong with them.
pub(in crate::gateway) fn read(headers: &HeaderMap) -> Result<Vec<Report>, String> {
    if !headers.contains_key(NAME) {
        return Ok(Vec::new());
    }
    reports(headers).map_err(|why| format!("the header `{NAME}` is not understood: {why}"))
}

fn reports(headers: &HeaderMap) -> Result<Vec<Report>, String> {
    // Several lines are one list (section 4.2).
    let mut text = String::new();
    for value in headers.get_all(NAME) {
        let value = value.to_str().map_err(|_| "it has other than ASCII letters".to_owned())?;
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(value);
        if text.len() > BYTES {
            return Err(format!("it has more than {BYTES} bytes"));
        }
    }
    let list: List = Parser::new(&text).parse().map_err(|it| it.to_string())?;
    if list.is_empty() || list.len() > REPORTS {
        return Err(format!("it has 1 to {REPORTS} reports, not {}", list.len()));
    }
    let report = |(place, it): (usize, ListEntry)| {
        let report = match it {
            ListEntry::Item(item) => of_item(&item),
            ListEntry::InnerList(_) => Err("it is a list".to_owned()),
        };
        report.map_err(|why| format!("report {}: {why}", place + 1))
    };
    list.into_iter().enumerate().map(report).collect()
}

fn of_item(item: &Item) -> Result<Report, String> {
    let name = text(&item.bare_item).ok_or("its name is neither a token nor a string")?;
    let mut report = Report { name, ..Report::default() };
    for (key, value) in &item.params {
        let key = key.as_str();
        let word = || text(value).ok_or_else(|| format!("`{key}` is neither a token nor a string"));
        match key {
            "id" => report.id = Some(word()?),
            "provider" => report.provider = Some(word()?),
            "took_ms" => report.took_ms = count(key, value)?,
            unit => report.usage.set(class(unit)?, count(unit, value)?),
        }
    }
    report.checked(false)
}

fn text(item: &BareItem) -> Option<String> {
    let token = item.as_token().map(|it| it.as_str().to_owned());
    token.or_else(|| item.as_string().map(|it| it.as_str().to_owned()))
}

fn count(key: &str, item: &BareItem) -> Result<u64, String> {
    let number = item.as_integer().and_then(|it| u64::try_from(it).ok());
    number.ok_or_else(|| format!("`{key}` is not a whole number from 0 on"))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn of(lines: &[&str]) -> Result<Vec<Report>, String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(NAME, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn a_header_has_a_report_for_each_index() {
        assert_eq!(of(&[]), Ok(Vec::new()));
        let lines = [
            "docs;provider=pinecone;id=\"q-17\";queries=3;read_units=12",
            "\"my rerank\";search_units=1;took_ms=9",
        ];
        let reports = of(&lines).unwrap();
        let words: Vec<_> = reports.iter().map(|it| (it.name.as_str(), it.usage)).collect();
        insta::assert_snapshot!(serde_json::to_string(&words).unwrap(), @r#"[["docs",{"queries":3,"read_units":12}],["my rerank",{"search_units":1}]]"#);
        assert_eq!(reports[0].id.as_deref(), Some("q-17"));
        assert_eq!(reports[0].provider.as_deref(), Some("pinecone"));
        assert_eq!(reports[1].took_ms, 9);
    }

    #[test]
    fn what_is_malformed_is_told() {
        let many = vec!["a;queries=1"; 17].join(",");
        let long = format!("\"{}\";queries=1", "x".repeat(5000));
        for (line, why) in [
            ("", "1 to 16"),
            ("docs", "no unit"),
            ("docs;queries=0", "no unit"),
            ("docs;queries=3;", ""),
            ("docs;queries=3,", ""),
            ("docs;queries=-3", "whole number"),
            ("docs;queries=1.5", "whole number"),
            ("docs;queries=\"3\"", "whole number"),
            ("docs;queries", "whole number"),
            ("docs;querys=3", "`querys`"),
            ("docs;Queries=3", ""),
            ("(docs);queries=3", "a list"),
            ("3;queries=3", "name"),
            ("docs;id=3;queries=3", "`id`"),
            ("dócs;queries=3", "ASCII"),
            (&many, "1 to 16"),
            (&long, "4096"),
        ] {
            let error = of(&[line]).unwrap_err();
            assert!(error.contains(why) && error.contains(NAME), "{line}: {error}");
        }
    }
}
