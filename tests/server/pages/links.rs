//! Where pages lead: each link and each live stream of each page is there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use super::Browser;
use super::runs::failed;
use crate::manual::driven;

/// Pages that are looked at, and how many addresses of one path.
const PAGES_MAX: usize = 400;
const QUERIES_MAX: usize = 8;

/// The values of an attribute in a page, as a browser reads them.
fn values(html: &str, attribute: &str) -> BTreeSet<String> {
    let begin = format!(" {attribute}=\"");
    let after = html.split(begin.as_str()).skip(1);
    let values = after.filter_map(|it| it.split_once('"')).map(|it| it.0);
    let plain = |it: &str| {
        let it = it.split('#').next().unwrap_or_default();
        it.replace("&amp;", "&").replace("&#38;", "&")
    };
    // A fragment begins with `#`, and so does what stands for `&`.
    let escaped = values.map(|it| plain(&it.replace("&#38;", "&amp;")));
    escaped.filter(|it| it.starts_with('/')).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_link_of_every_page_leads_somewhere() {
    let (scene, _) = failed().await;
    driven(&scene, json!({ "pipeline": "ci", "inputs": { "target": "us" } })).await;
    let browser = Browser::of(&scene.server, "ada").await;
    let (mut seen, mut paths) = (BTreeMap::<String, String>::new(), BTreeMap::new());
    let mut next = VecDeque::from([("/".to_owned(), "nothing".to_owned())]);
    while let Some((address, from)) = next.pop_front() {
        let path = address.split('?').next().unwrap_or_default().to_owned();
        let queries: &mut usize = paths.entry(path).or_default();
        *queries += 1;
        if *queries > QUERIES_MAX || seen.len() >= PAGES_MAX || seen.contains_key(&address) {
            continue;
        }
        let answer = browser.request(Method::GET, &address).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success() || status.is_redirection(), "{status}: {address}, from {from}");
        seen.insert(address.clone(), from);
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if !kind.unwrap_or_default().starts_with("text/html") {
            continue;
        }
        let html = answer.text().await.unwrap();
        for attribute in ["href", "data-live"] {
            next.extend(values(&html, attribute).into_iter().map(|it| (it, address.clone())));
        }
    }
    let has = |start: &str| seen.keys().filter(|it| it.starts_with(start)).count();
    assert!(seen.len() > 60, "{seen:?}");
    for start in ["/live/", "/runs?", "/admin", "/projects/shop/web/settings", "/spend", "/traces"]
    {
        assert!(has(start) > 0, "no page leads to `{start}`: {:?}", seen.keys());
    }
}
