//! Pages of spend and of budgets: what they say, who sees and changes what, and what the forms make of mistakes.

use reqwest::StatusCode;
use serde_json::json;
use trunkline::model::{Role, TeamId, Timestamp, UsdNanos};
use trunkline::store::spend::calls::CallRow;

use super::{Browser, check_page};
use crate::budgets::{call, spend};
use crate::support::{Answer, Server};

const DAY: i64 = 86_400_000;
const USD: i64 = UsdNanos::PER_USD;

/// An owner `ada`; of the team `shop` one of each role; and `outsider`, an admin of another team.
async fn shop() -> (Server, TeamId) {
    let server = Server::start().await;
    server.person("ada", true).await;
    let shop = server.team("shop").await;
    for role in Role::ALL {
        server.person(role.as_str(), false).await;
        server.member(&shop, role.as_str(), role).await;
    }
    let elsewhere = server.team("elsewhere").await;
    server.person("outsider", false).await;
    server.member(&elsewhere, "outsider", Role::Admin).await;
    (server, shop)
}

fn leads_to(answer: &Answer, path: &str) {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    assert_eq!(answer.header("location"), path);
}

fn says(answer: &Answer, sentences: &[&str]) {
    check_page(answer);
    for sentence in sentences {
        assert!(answer.text.contains(sentence), "`{sentence}` is not in {}", answer.text);
    }
}

async fn audited(server: &Server) -> Vec<(String, String, String)> {
    let token = server.token("ada", &["owner"]).await;
    let answer = server.get(&token, "/api/v1/audit?action=budget.").await.json();
    let text = |it: &serde_json::Value| it.as_str().unwrap().to_owned();
    let rows = answer["items"].as_array().unwrap().iter();
    rows.map(|it| (text(&it["action"]), text(&it["actor"]), text(&it["subject"]))).collect()
}

/// Ten calls of a dollar a day over the last ten days, today not included.
async fn habit(server: &Server, team: &str) {
    let now = server.app.now();
    for day in 1..=10 {
        let at = Timestamp(now.0 - day * DAY);
        let call = call(&format!("req_{team}_{day}"), team, 10, at);
        spend(&server.app.store, day, call, &format!("{team}/before")).await;
    }
}

#[tokio::test]
async fn where_the_money_went_is_told_with_links_to_what_it_consists_of() {
    let (server, _) = shop().await;
    let now = server.app.now();
    let of = |request: &str, team: &str, usd: i64| call(request, team, usd, now);
    let store = &server.app.store;
    let tagged = CallRow { tags: "tenant=acme".to_owned(), ..of("req_1", "shop", 30) };
    spend(store, 1, tagged, "shop/month").await;
    spend(store, 2, CallRow { model: "<i>gpt".to_owned(), ..of("req_2", "shop", 10) }, "x").await;
    let cached = CallRow {
        origin: "cache".to_owned(),
        avoided: UsdNanos(7 * USD),
        ..of("req_3", "shop", 0)
    };
    spend(store, 3, cached, "x").await;
    spend(store, 4, of("req_4", "elsewhere", 60), "x").await;
    let viewer = Browser::of(&server, "viewer").await;
    let page = viewer.get("/spend").await;
    let own = [
        "<b>$40.00</b>",
        "in 3 attempts",
        "$7.00",
        "by caches and recordings",
        "href=\"/spend?period=month&#38;by=project&#38;team=shop\">shop</a>",
        "1 answered here",
        "<svg viewBox",
        "The numbers",
        "data-live=\"/live/spend?period=month&#38;by=team\"",
        "aria-current=\"page\">Spend</a>",
    ];
    says(&page, &own);
    assert!(!page.text.contains("elsewhere"), "{page:?}");
    let all = Browser::of(&server, "ada").await.get("/spend").await;
    says(&all, &["<b>$100.00</b>", "elsewhere", "60 %"]);
    let models = viewer.get("/spend?by=model&team=shop&period=today").await;
    says(&models, &["&#60;i&#62;gpt", "model=%3Ci%3Egpt", "claude"]);
    assert!(!models.text.contains("<i>gpt"), "{models:?}");
    let one = viewer.get("/spend?model=%3Ci%3Egpt&by=stage").await;
    says(&one, &["<b>$10.00</b>", "value=\"&#60;i&#62;gpt\""]);
    let tags = viewer.get("/spend?by=tag").await;
    says(&tags, &["tag=tenant%3Dacme\">tenant=acme</a>", "$30.00"]);
    let tag = viewer.get("/spend?tag=tenant%3Dacme&by=model").await;
    says(&tag, &["<b>$30.00</b>", "claude"]);
    let other = viewer.get("/spend?team=elsewhere").await;
    says(&other, &["No call fits. There is no team <code>elsewhere</code>", "<b>$0.00</b>"]);
    let none = viewer.get("/spend?run=999").await;
    says(&none, &["There is no run <code>999</code> that you may see."]);
    let none = viewer.get("/spend?project=nope").await;
    says(&none, &["There is no project <code>nope</code> that you may see."]);
    let odd = viewer.get("/spend?project=%22%3E%3Cb%3E").await;
    says(&odd, &["value=\"&#34;&#62;&#60;b&#62;\"", "This month"]);
    let nobody = super::reads_pages(&server, reqwest::Method::GET, "/spend");
    assert_eq!(Answer::of(nobody.send().await.unwrap()).await.status, 303);
}

#[tokio::test]
async fn what_dead_processes_may_have_spent_has_a_name_of_its_own() {
    let (server, _) = shop().await;
    let (store, now) = (&server.app.store, server.app.now());
    let lost = CallRow {
        attempt: 0,
        operation: "lost".to_owned(),
        model: String::new(),
        ..call("p1#0", "shop", 5, now)
    };
    spend(store, 1, lost, "x").await;
    let viewer = Browser::of(&server, "viewer").await;
    let page = viewer.get("/spend?by=model").await;
    let own = [
        "<span class=\"quiet\">processes that died</span>",
        "$5.00 of processes that died",
        "<th scope=\"col\" class=\"number\">processes that died</th>",
    ];
    says(&page, &own);
    assert!(!page.text.contains(">none<"), "{page:?}");
    spend(store, 2, CallRow { model: String::new(), ..call("req_1", "shop", 2, now) }, "x").await;
    says(&viewer.get("/spend?by=model").await, &["none, and processes that died"]);
    let stages = viewer.get("/spend?by=endpoint").await;
    says(&stages, &["none, and processes that died"]);
}

#[tokio::test]
async fn a_run_is_named_and_led_to() {
    let (server, shop) = shop().await;
    let run = crate::access::insert_run_of(&server, shop).await;
    let mut call = call("req_1", "shop", 30, server.app.now());
    call.owner.run.clone_from(&run.0);
    spend(&server.app.store, 1, call, "x").await;
    let page = Browser::of(&server, "viewer").await.get("/spend?by=run").await;
    let link = format!("href=\"/runs/{}\"", run.0);
    says(&page, &["ci #1", &link, "open the run"]);
}

#[tokio::test]
async fn a_forecast_is_told_where_enough_is_known() {
    let (server, _) = shop().await;
    let viewer = Browser::of(&server, "viewer").await;
    says(&viewer.get("/spend").await, &["Too little is known", "No call to a model was made"]);
    habit(&server, "shop").await;
    let page = viewer.get("/spend?period=month").await;
    says(&page, &["when it ends", "in four of five cases, from 10 days before"]);
    assert!(!page.text.contains("Too little is known"), "{page:?}");
    let token = server.token("viewer", &["viewer"]).await;
    let trend = server.get(&token, "/api/v1/spend/trend?period=month&by=model").await.json();
    assert_eq!(trend["series"][0]["name"], "claude");
    assert_eq!(trend["forecast"]["spans"], 10);
    let total: f64 = trend["forecast"]["cost_usd"].as_str().unwrap().parse().unwrap();
    let spent: f64 = trend["cost_usd"].as_str().unwrap().parse().unwrap();
    let days = u32::try_from(trend["points"].as_array().unwrap().len()).unwrap();
    assert!(total >= spent && total <= 10.0 * f64::from(days) + 0.01, "{trend}");
    let over = server.get(&token, "/api/v1/spend/trend?period=last-month").await.json();
    assert!(over["forecast"].is_null(), "{over}");
    for wrong in ["period=ever", "by=planet", "by=day"] {
        let answer = server.get(&token, &format!("/api/v1/spend/trend?{wrong}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    }
}

#[tokio::test]
async fn a_budget_is_measured_by_what_it_has_counted_and_of_several_the_nearest_is_said() {
    let (server, _) = shop().await;
    let admin = Browser::of(&server, "admin").await;
    let now = server.app.now();
    spend(&server.app.store, 1, call("req_a", "shop", 90, now), "shop/before").await;
    for (name, usd) in [("fresh", "1"), ("month", "100")] {
        let made =
            [("team", "shop"), ("name", name), ("window", "month"), ("mode", "hard"), ("usd", usd)];
        let path = format!("/teams/shop/budgets/{name}?done=created");
        leads_to(&admin.post("/new-budget", &made).await, &path);
    }
    let page = admin.get("/spend?period=month&by=model&team=shop").await;
    let fresh =
        "0 % of <a href=\"/teams/shop/budgets/fresh\">shop/fresh</a>, $1.00, since it was made";
    says(&page, &[fresh, "<b>$90.00</b>"]);
    spend(&server.app.store, 2, call("req_b", "shop", 50, now), "shop/month").await;
    let page = admin.get("/spend?period=month&by=model&team=shop").await;
    says(&page, &["50 % of <a href=\"/teams/shop/budgets/month\">shop/month</a>, $100.00"]);
    let token = server.token("viewer", &["viewer"]).await;
    let trend = server.get(&token, "/api/v1/spend/trend?period=month&team=shop").await.json();
    assert_eq!((&trend["cost_usd"], &trend["limit_usd"]), (&json!("140.00"), &json!("100.00")));
    assert_eq!(
        (&trend["budget"], &trend["budget_spent_usd"]),
        (&json!("shop/month"), &json!("50.00"))
    );
}

#[tokio::test]
async fn a_budget_that_will_not_last_says_when_it_ends() {
    let (server, _) = shop().await;
    habit(&server, "shop").await;
    let admin = Browser::of(&server, "admin").await;
    let fields = [("team", "shop"), ("name", "day"), ("window", "day"), ("mode", "hard")];
    let made = [&fields[..], &[("usd", "100")]].concat();
    leads_to(&admin.post("/new-budget", &made).await, "/teams/shop/budgets/day?done=created");
    let month =
        [&fields[..1], &[("name", "month"), ("window", "month"), ("mode", "soft")]].concat();
    let month = [&month[..], &[("usd", "100000")]].concat();
    leads_to(&admin.post("/new-budget", &month).await, "/teams/shop/budgets/month?done=created");
    let now = server.app.now();
    spend(&server.app.store, 20, call("req_a", "shop", 90, now), "shop/month").await;
    let page = admin.get("/budgets").await;
    says(&page, &["comes to about $", "$90.00 of $100000.00", "only told of", "0 %"]);
    let page = admin.get("/spend?team=shop&period=month").await;
    says(&page, &["0 % of <a href=\"/teams/shop/budgets/month\">", "So far, and to the end"]);
    // What is nearly used up is, at this pace, used up within the month; on its last day it may just last.
    let tight = [("version", "1"), ("window", "month"), ("mode", "soft"), ("usd", "91")];
    leads_to(
        &admin.post("/teams/shop/budgets/month", &tight).await,
        "/teams/shop/budgets/month?done=saved",
    );
    let page = admin.get("/teams/shop/budgets/month").await;
    says(&page, &["98 %", "$90.00 of $91.00", "spent near", "value=\"91.00\""]);
    let token = server.token("viewer", &["viewer"]).await;
    let used = server.get(&token, "/api/v1/teams/shop/budgets/month/usage").await.json();
    assert!(used[0]["forecast_usd"].is_string(), "{used}");
}

#[tokio::test]
async fn a_budget_is_made_changed_as_seen_and_removed_and_all_of_it_is_audited() {
    let (server, _) = shop().await;
    let admin = Browser::of(&server, "admin").await;
    says(&admin.get("/budgets").await, &["There is no budget", "Make the first one"]);
    says(&admin.get("/new-budget").await, &["<option value=\"shop\" selected>", "Make the budget"]);
    let new = [
        ("team", "shop"),
        ("name", "each-run"),
        ("window", "whole"),
        ("usd", "$2.50"),
        ("tokens", "5000"),
        ("mode", "hard"),
        ("run", "*"),
    ];
    let path = "/teams/shop/budgets/each-run";
    leads_to(&admin.post("/new-budget", &new).await, &format!("{path}?done=created"));
    let page = admin.get(path).await;
    says(&page, &["Nothing is used of it", "value=\"2.50\"", "value=\"5000\"", "<details open>"]);
    let twice = admin.post("/new-budget", &new).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY, "{twice:?}");
    says(&twice, &["id=\"name-wrong\"", "there is a budget of this name", "value=\"each-run\""]);
    let change = |version: &'static str, usd: &'static str| {
        [("version", version), ("window", "whole"), ("mode", "soft"), ("usd", usd), ("run", "*")]
    };
    leads_to(&admin.post(path, &change("1", "3")).await, &format!("{path}?done=saved"));
    let late = admin.post(path, &change("1", "7.25")).await;
    assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "{late:?}");
    says(
        &late,
        &[
            "Somebody else has changed these settings since you opened the page.",
            "What is there now: dollars <code>3.00</code>",
            "value=\"7.25\"",
            "name=\"version\" value=\"2\"",
        ],
    );
    leads_to(&admin.post(path, &change("2", "7.25")).await, &format!("{path}?done=saved"));
    let remove = format!("{path}/remove");
    let stale = admin.post(&remove, &[("version", "1")]).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED, "{stale:?}");
    leads_to(&admin.post(&remove, &[("version", "3")]).await, "/budgets?done=removed");
    assert_eq!(admin.get(path).await.status, 404);
    let gone = admin.post(path, &change("3", "8.75")).await;
    assert_eq!(gone.status, StatusCode::UNPROCESSABLE_ENTITY, "{gone:?}");
    let said =
        ["This budget is gone", "value=\"8.75\"", "value=\"each-run\"", "action=\"/new-budget\""];
    says(&gone, &said);
    let entry =
        |action: &str| (action.to_owned(), "person:admin".to_owned(), "shop/each-run".to_owned());
    let all = ["budget.delete", "budget.save", "budget.save", "budget.save"];
    assert_eq!(audited(&server).await, all.map(entry), "each once");
}

#[tokio::test]
async fn a_form_with_mistakes_names_their_fields_and_keeps_what_was_typed() {
    let (server, _) = shop().await;
    let admin = Browser::of(&server, "admin").await;
    let wrong = [
        ("team", "shop"),
        ("name", "<b>No"),
        ("window", "month"),
        ("mode", "hard"),
        ("usd", "\"><i>much"),
        ("tokens", "1.5"),
        ("project", "a b"),
    ];
    let answer = admin.post("/new-budget", &wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
    let said = [
        "4 fields cannot be as typed",
        "id=\"name-wrong\"",
        "id=\"usd-wrong\"",
        "id=\"tokens-wrong\"",
        "id=\"project-wrong\"",
        "aria-describedby=\"usd-help usd-wrong\"",
        "value=\"&#60;b&#62;No\"",
        "value=\"&#34;&#62;&#60;i&#62;much\"",
        "value=\"a b\"",
        "<details open>",
    ];
    says(&answer, &said);
    assert!(!answer.text.contains("<i>much") && !answer.text.contains("<b>No"), "{answer:?}");
    let nothing = [("team", "shop"), ("name", "n"), ("window", "month"), ("mode", "hard")];
    let answer = admin.post("/new-budget", &nothing).await;
    says(&answer, &["One field cannot be as typed", "id=\"usd-wrong\""]);
    assert!(audited(&server).await.is_empty());
}

#[tokio::test]
async fn who_may_not_set_budgets_is_refused_and_who_may_not_see_them_sees_none() {
    let (server, _) = shop().await;
    let token = server.token("ada", &["owner"]).await;
    let body = json!({ "usd": "5", "window": "month" });
    for path in ["/api/v1/budgets/all", "/api/v1/teams/shop/budgets/month"] {
        let set = server.call(&token, reqwest::Method::PUT, (path, Some(body.clone()))).await;
        assert_eq!(set.status, StatusCode::OK, "{set:?}");
    }
    let fields =
        [("team", "shop"), ("name", "n"), ("window", "month"), ("usd", "1"), ("mode", "hard")];
    let of_server =
        [("team", ""), ("name", "n"), ("window", "month"), ("usd", "1"), ("mode", "hard")];
    let team = "/teams/shop/budgets/month";
    for (login, sees_team, may_team, is_owner) in [
        ("viewer", true, false, false),
        ("approver", true, false, false),
        ("admin", true, true, false),
        ("outsider", false, false, false),
        ("ada", true, true, true),
    ] {
        let browser = Browser::of(&server, login).await;
        let list = browser.get("/budgets").await;
        check_page(&list);
        assert_eq!(list.text.contains("shop/month"), sees_team, "{login}: {list:?}");
        assert_eq!(list.text.contains("/budgets/all\""), is_owner, "{login}: {list:?}");
        let spend = browser.get("/spend").await;
        for page in [&list, &spend] {
            let holds = page.text.contains("One budget of the installation holds these calls");
            assert_eq!(holds, !is_owner, "{login}: {page:?}");
            assert!(!page.text.contains("nothing holds"), "{login}: {page:?}");
            assert!(!page.text.contains("No budget holds"), "{login}: {page:?}");
        }
        let page = browser.get(team).await;
        assert_eq!(page.status, if sees_team { 200 } else { 404 }, "{login}: {page:?}");
        assert_eq!(page.text.contains("Remove the budget"), may_team, "{login}: {page:?}");
        let of_all = browser.get("/budgets/all").await;
        assert_eq!(of_all.status, if is_owner { 200 } else { 403 }, "{login}: {of_all:?}");
        let may_make_any = may_team || login == "outsider";
        let new = browser.get("/new-budget").await;
        assert_eq!(new.status, if may_make_any { 200 } else { 403 }, "{login}: {new:?}");
        let status = |may: bool, hidden: u16| if may { 422 } else { hidden };
        let hidden = if sees_team { 403 } else { 404 };
        // What is refused for its sense was let through.
        let bad =
            [&fields[..1], &[("name", "No!"), ("window", "month"), ("mode", "hard")]].concat();
        let answer = browser.post("/new-budget", &bad).await;
        assert_eq!(answer.status, status(may_team, hidden), "{login}: {answer:?}");
        let answer =
            browser.post(team, &[("usd", "x"), ("window", "month"), ("mode", "hard")]).await;
        assert_eq!(answer.status, status(may_team, hidden), "{login}: {answer:?}");
        if !may_team {
            let answer = browser.post("/new-budget", &fields).await;
            assert_eq!(answer.status, hidden, "{login}: {answer:?}");
            let answer = browser.post(&format!("{team}/remove"), &[]).await;
            assert_eq!(answer.status, hidden, "{login}: {answer:?}");
        }
        if !is_owner {
            assert_eq!(browser.post("/new-budget", &of_server).await.status, 403, "{login}");
            assert_eq!(browser.post("/budgets/all", &of_server).await.status, 403, "{login}");
            assert_eq!(browser.post("/budgets/all/remove", &[]).await.status, 403, "{login}");
        }
        for path in ["/new-budget", team, "/teams/shop/budgets/month/remove", "/budgets/all"] {
            let answer = browser.post_as_is(path, &fields).await;
            assert_eq!(answer.status, 403, "{login}, {path} without csrf: {answer:?}");
        }
    }
    assert_eq!(audited(&server).await.len(), 2, "only what the owner has set");
}

#[tokio::test]
async fn a_budget_of_the_server_keeps_the_team_that_it_is_for() {
    let (server, _) = shop().await;
    let ada = Browser::of(&server, "ada").await;
    let new = [
        ("team", ""),
        ("name", "for-shop"),
        ("window", "month"),
        ("usd", "5"),
        ("mode", "hard"),
        ("of_team", "shop"),
    ];
    leads_to(&ada.post("/new-budget", &new).await, "/budgets/for-shop?done=created");
    let page = ada.get("/budgets/for-shop").await;
    says(&page, &["id=\"of_team\" name=\"of_team\" value=\"shop\""]);
    says(&ada.get("/budgets").await, &["$5.00 a month of team=shop"]);
    // It is the installation's, and not the team's.
    assert!(!ada.get("/budgets?team=shop").await.text.contains("for-shop"));
}

/// Calls that stand in the ledger and among the traces: by request what they are of.
async fn traced_calls(server: &Server) -> Vec<(String, [String; 7])> {
    let now = server.app.now();
    let mut told = Vec::new();
    for n in 1..=6_i64 {
        let request = format!("req_{n}");
        let mut row = call(&request, if n == 6 { "elsewhere" } else { "shop" }, n, now);
        row.owner.project = format!("shop/web{}", n % 2);
        row.owner.pipeline = format!("ci {}", n % 3);
        row.owner.run = format!("01k0000000000000000000000{}", n % 2);
        row.owner.stage = format!("eval ({}, a&b)", n % 3);
        row.owner.endpoint = if n == 3 { String::new() } else { format!("e{}", n % 2) };
        row.model = format!("m/{}", n % 3);
        let mut trace = crate::traced::trace(&request, &row.owner.team, now);
        trace.owner = row.owner.clone();
        trace.model.clone_from(&row.model);
        server.app.store.insert_traces(&[trace], &[]).await.unwrap();
        let it = &row.owner;
        let words = [&it.team, &it.project, &it.pipeline, &it.run, &it.stage, &it.endpoint];
        let words = words.into_iter().chain([&row.model]).cloned().collect::<Vec<_>>();
        told.push((request, words.try_into().unwrap()));
        spend(&server.app.store, n, row, "x").await;
    }
    // A month ago, and so in none of the links.
    let old = Timestamp(now.0 - 62 * DAY);
    let old = crate::traced::trace("req_old", "shop", old);
    server.app.store.insert_traces(&[old], &[]).await.unwrap();
    told
}

#[tokio::test]
async fn a_row_leads_to_the_traces_of_the_same_calls() {
    let (server, _) = shop().await;
    let calls = traced_calls(&server).await;
    let ada = Browser::of(&server, "ada").await;
    let requests = |page: &str| {
        let found = page.split("href=\"/traces/").skip(1);
        let mut ids: Vec<_> = found.map(|it| it.split('"').next().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    for (place, by) in
        ["team", "project", "pipeline", "run", "stage", "endpoint", "model"].into_iter().enumerate()
    {
        let page = ada.get(&format!("/spend?by={by}")).await;
        check_page(&page);
        let mut wanted: Vec<_> = calls.iter().map(|it| it.1[place].clone()).collect();
        wanted.sort();
        wanted.dedup();
        wanted.retain(|it| !it.is_empty());
        let links: Vec<_> = page.text.split("href=\"/traces?").skip(1).collect();
        assert_eq!(links.len(), wanted.len(), "{by}: {}", page.text);
        let mut found = Vec::new();
        for link in links {
            let link = link.split('"').next().unwrap().replace("&#38;", "&");
            found.push(requests(&ada.get(&format!("/traces?{link}")).await.text));
        }
        let of = |name: &String| {
            let own = calls.iter().filter(|it| it.1[place] == *name);
            own.map(|it| it.0.clone()).collect::<Vec<_>>()
        };
        let mut wanted: Vec<_> = wanted.iter().map(of).collect();
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted, "{by}");
    }
    // Filters of the page hold there, too.
    let page = ada.get("/spend?by=model&stage=eval+(1%2C+a%26b)&team=shop").await;
    let link = page.text.split("href=\"/traces?").nth(1).unwrap().split('"').next().unwrap();
    let page = ada.get(&format!("/traces?{}", link.replace("&#38;", "&"))).await;
    assert_eq!(requests(&page.text), ["req_1", "req_4"]);
}

#[tokio::test]
async fn a_project_is_found_by_its_name_alone_and_a_run_by_its_number() {
    let (server, team) = shop().await;
    let run = crate::access::insert_run_of(&server, team).await;
    let now = server.app.now();
    let mut own = call("req_1", "shop", 30, now);
    own.owner.project = "shop/site".to_owned();
    own.owner.run = run.0;
    spend(&server.app.store, 1, own, "x").await;
    spend(&server.app.store, 2, call("req_2", "shop", 5, now), "x").await;
    let viewer = Browser::of(&server, "viewer").await;
    for query in ["project=site", "project=shop%2Fsite", "run=1"] {
        says(&viewer.get(&format!("/spend?{query}")).await, &["<b>$30.00</b>"]);
    }
}
