use std::fs;
use std::path::Path;

use super::pages;

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in link_targets(&text) {
            if let Some(problem) = problem_of(&page, &target) {
                broken.push(format!("{}: {problem}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_heading_becomes_an_anchor_as_the_forges_make_it() {
    assert_eq!(anchor("## What `run` sees: a tree!"), "what-run-sees-a-tree");
}

/// Targets of `[text](target)`, outside of code blocks.
fn link_targets(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code {
            let after = line.split("](").skip(1);
            targets.extend(after.filter_map(|it| Some(it.split_once(')')?.0.to_owned())));
        }
    }
    targets
}

fn problem_of(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { page.to_owned() } else { page.parent()?.join(path) };
    if !file.exists() {
        return Some(format!("`{target}` leads to no file"));
    }
    let text = fs::read_to_string(&file).unwrap_or_default();
    let mut headings = text.lines().filter(|it| it.starts_with('#')).map(anchor);
    let found = heading.is_empty() || headings.any(|it| it == heading);
    (!found).then(|| format!("`{target}` names no heading of {}", file.display()))
}

fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}
