//! Deliveries as forges send them: what proves them, and what they say.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use insta::assert_snapshot;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;

use super::*;

const SAMPLES: &str = "/work/shared/data/webhooks";
const SECRET: &str = "It's a Secret to Everybody";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn prove(forge: ForgeKind, secret: &str, pairs: &[(&str, &str)], body: &str) -> String {
    let headers = headers(pairs);
    let envelope = Envelope { headers: &headers, body: body.as_bytes() };
    match envelope.prove(forge, secret, Timestamp(1_700_000_000_000)) {
        Ok(()) => "proved".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn standard_signature(key: &[u8], text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The example of GitHub's own documentation.
#[test]
fn githubs_signature_is_over_the_raw_body() {
    let header = "x-hub-signature-256";
    let good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let github =
        |value: &str, body: &str| prove(ForgeKind::Github, SECRET, &[(header, value)], body);
    assert_eq!(github(good, "Hello, World!"), "proved");
    assert_eq!(github(good, "Hello, World?"), "the `x-hub-signature-256` does not fit");
    assert_eq!(github(&good[7..], "Hello, World!"), "the `x-hub-signature-256` does not fit");
    assert_eq!(github(&good[..70], "Hello, World!"), "the `x-hub-signature-256` does not fit");
    assert_eq!(github("sha256=", "Hello, World!"), "the `x-hub-signature-256` does not fit");
    let none = prove(ForgeKind::Github, SECRET, &[], "Hello, World!");
    assert_eq!(none, "the delivery has no `x-hub-signature-256`");
    let gitea = [("x-gitea-signature", &good[7..])];
    assert_eq!(prove(ForgeKind::Gitea, SECRET, &gitea, "Hello, World!"), "proved");
    assert_eq!(prove(ForgeKind::Git, SECRET, &[], ""), "the project takes no deliveries");
}

#[test]
fn gitlab_shows_the_token_or_signs() {
    let gitlab = |pairs: &[(&str, &str)]| prove(ForgeKind::Gitlab, SECRET, pairs, "{}");
    assert_eq!(gitlab(&[("x-gitlab-token", SECRET)]), "proved");
    assert_eq!(gitlab(&[("x-gitlab-token", "guess")]), "the `x-gitlab-token` does not fit");
    assert_eq!(gitlab(&[]), "the delivery has no `x-gitlab-token`");
    // A wrong signature is not made good by a token.
    let both = [
        ("x-gitlab-token", SECRET),
        ("webhook-id", "1"),
        ("webhook-timestamp", "1700000000"),
        ("webhook-signature", "v1,AAAA"),
    ];
    assert_eq!(gitlab(&both), "the `webhook-signature` does not fit");
}

#[test]
fn a_standard_signature_binds_id_moment_and_body() {
    let key = [7; 32];
    let secret = format!("whsec_{}", STANDARD.encode(key));
    let check = |id: &str, moment: &str, body: &str| {
        let good = standard_signature(&key, &format!("msg_1.{moment}.{{}}"));
        let signature = format!("v1,bm90IGl0 {good}");
        let pairs = [
            ("webhook-id", id),
            ("webhook-timestamp", moment),
            ("webhook-signature", signature.as_str()),
        ];
        prove(ForgeKind::Gitlab, &secret, &pairs, body)
    };
    assert_eq!(check("msg_1", "1700000000", "{}"), "proved");
    assert_eq!(check("msg_1", "1700000299", "{}"), "proved");
    let stale = "the `webhook-timestamp` is more than 5 minutes off";
    assert_eq!(check("msg_1", "1700000301", "{}"), stale);
    assert_eq!(check("msg_1", "1699999699", "{}"), stale);
    assert_eq!(check("msg_2", "1700000000", "{}"), "the `webhook-signature` does not fit");
    assert_eq!(check("msg_1", "1700000000", "[]"), "the `webhook-signature` does not fit");
    assert_eq!(check("msg_1", "soon", "{}"), "the `webhook-timestamp` does not fit");
}

/// Every sample of the forges, in one line each.
#[test]
fn the_samples_of_the_forges_are_understood() {
    if !Path::new(SAMPLES).is_dir() {
        eprintln!("SKIPPED: the samples of webhooks are not at `{SAMPLES}`");
        return;
    }
    let mut text = String::new();
    for event in folders(&Path::new(SAMPLES).join("github")) {
        for (name, body) in samples(&Path::new(SAMPLES).join("github").join(&event)) {
            writeln!(text, "{event}/{name}: {}", show(read(ForgeKind::Github, &event, &body)))
                .unwrap();
        }
    }
    for (name, body) in samples(&Path::new(SAMPLES).join("gitlab")) {
        let event = gitlab::event(body.as_bytes());
        writeln!(text, "gitlab/{name}: {}", show(read(ForgeKind::Gitlab, &event, &body))).unwrap();
    }
    assert_snapshot!(text);
}

fn folders(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|it| it.into_string().unwrap()).collect();
    names.sort();
    names
}

fn samples(folder: &Path) -> Vec<(String, String)> {
    let names = folders(folder).into_iter();
    names.map(|it| (it.clone(), std::fs::read_to_string(folder.join(it)).unwrap())).collect()
}

fn show(delivery: Result<Delivery, UnreadableDelivery>) -> String {
    let Delivery { repository, sender, kind } = match delivery {
        Ok(delivery) => delivery,
        Err(error) => return format!("UNREADABLE {error}"),
    };
    format!("{repository} by {}#{}: {kind:?}", sender.login, sender.id)
}

const PUSH: &str = r#"{
    "ref": "refs/heads/main", "forced": true, "repository": {"full_name": "shop/web"},
    "before": "1111111111111111111111111111111111111111",
    "after": "2222222222222222222222222222222222222222", "sender": {"id": 7, "login": "ada"}
}"#;

#[test]
fn pushes_deletions_and_force_pushes_are_told_apart() {
    let zeros = "0".repeat(40);
    assert_snapshot!(show(read(ForgeKind::Github, "push", PUSH)), @r#"shop/web by ada#7: Push(Push { ref: "refs/heads/main", before: Some("1111111111111111111111111111111111111111"), after: Some("2222222222222222222222222222222222222222"), is_forced: true })"#);
    let deleted = PUSH.replace(&"2".repeat(40), &zeros);
    assert_snapshot!(show(read(ForgeKind::Github, "push", &deleted)), @r#"shop/web by ada#7: Push(Push { ref: "refs/heads/main", before: Some("1111111111111111111111111111111111111111"), after: None, is_forced: true })"#);
    let tag = PUSH.replace("refs/heads/main", "refs/tags/v1").replace(&"1".repeat(40), &zeros);
    assert_snapshot!(show(read(ForgeKind::Gitea, "push", &tag)), @r#"shop/web by ada#7: Tag(Push { ref: "refs/tags/v1", before: None, after: Some("2222222222222222222222222222222222222222"), is_forced: true })"#);
    let note = PUSH.replace("refs/heads/main", "refs/notes/x");
    assert_snapshot!(show(read(ForgeKind::Gitea, "push", &note)), @r#"shop/web by ada#7: Ignored("`refs/notes/x` is neither a branch nor a tag")"#);
}

#[test]
fn what_cannot_be_read_names_the_field() {
    let shown = |event: &str, body: &str| show(read(ForgeKind::Github, event, body));
    assert_snapshot!(shown("push", "no JSON"), @r#"UNREADABLE the body is no JSON: expected ident at line 1 column 2"#);
    assert_snapshot!(shown("push", r#"{"ref": "refs/heads/main"}"#), @r#"UNREADABLE the `push` delivery has no `before`"#);
    assert_snapshot!(shown("push", &PUSH.replace(&"2".repeat(40), "HEAD")), @r#"UNREADABLE the `push` delivery has no `after`"#);
    assert_snapshot!(shown("pull_request", r#"{"action": "opened"}"#), @r#"UNREADABLE the `pull_request` delivery has no `pull_request.base.repo.full_name`"#);
    assert!(shown("star", "{}").ends_with("Ignored(\"nothing starts by `star`\")"));
}

#[test]
fn a_request_whose_repository_is_another_or_gone_comes_from_a_fork() {
    let body = |from: &str| {
        format!(
            r#"{{"action": "synchronize", "number": 3, "pull_request": {{
                "title": "Umbrellas", "user": {{"login": "eve"}}, "draft": true,
                "head": {{"ref": "main", "sha": "2222", "repo": {from}}},
                "base": {{"ref": "main", "repo": {{"full_name": "shop/web"}}}}}}}}"#
        )
    };
    for (from, is_fork) in [
        (r#"{"full_name": "shop/web"}"#, false),
        (r#"{"full_name": "eve/web"}"#, true),
        ("null", true),
    ] {
        let delivery = read(ForgeKind::Github, "pull_request", &body(from)).unwrap();
        let DeliveryKind::PullRequest(request) = delivery.kind else { panic!("{from}") };
        assert_eq!(request.is_fork, is_fork, "{from}");
        assert!(request.is_draft);
        assert_eq!(request.action, PullRequestAction::Synchronised);
    }
}

#[test]
fn words_of_a_commit_skip_it() {
    assert_eq!(skip_word("docs: typo\n\n[Skip CI]"), Some("[skip ci]"));
    assert_eq!(skip_word("[actions skip] x"), Some("[actions skip]"));
    assert_eq!(skip_word("skip ci when it is cold"), None);
}

#[test]
fn a_change_of_a_ref_reads_as_a_push() {
    let change = RefChange {
        r#ref: "refs/heads/main".to_owned(),
        before: None,
        after: Some("2".repeat(40)),
    };
    let (name, body) = describe_change(&change, Timestamp(5));
    assert_eq!(name, format!("refs/heads/main@{}..{}#5", "0".repeat(40), "2".repeat(40)));
    let DeliveryKind::Push(push) = read(ForgeKind::Git, "push", &body).unwrap().kind else {
        panic!()
    };
    assert_eq!((push.r#ref, push.before, push.after), (change.r#ref, change.before, change.after));
}
