use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::pages;

#[test]
fn the_readme_shows_every_command() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, table) = readme.split_once("| command | what it does |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    for command in subcommands().into_iter().filter(|it| it != "help") {
        let is_shown = table.contains(&format!("trunkline {command}"))
            || table.contains(&format!("`{command}`"));
        assert!(is_shown, "`trunkline {command}` is missing in the table of README.md");
    }
}

#[test]
fn every_command_of_the_documentation_has_the_options_that_are_shown() {
    let known = subcommands();
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        for shown in commands_in(&fs::read_to_string(&page).unwrap()) {
            let name = shown.iter().find(|it| !it.starts_with('-')).cloned().unwrap_or_default();
            if !known.contains(&name) {
                wrong.push(format!("{}: there is no `trunkline {name}`", page.display()));
                continue;
            }
            count += 1;
            let help = help(&[&name]);
            let options = shown.iter().filter(|it| it.starts_with('-'));
            for option in options.map(|it| it.split('=').next().unwrap()) {
                let is_there = help.split_whitespace().any(|it| it.trim_matches(',') == option);
                if !is_there {
                    wrong.push(format!("{}: `trunkline {name}` has no `{option}`", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "only {count} commands were found");
}

/// The words after `trunkline` in code spans and in `sh` blocks.
fn commands_in(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
        } else if fence == Some("sh") {
            let command = line.split(" # ").next().unwrap();
            found.extend(command.split("&&").filter_map(|it| words(it.trim())));
        } else if fence.is_none() {
            found.extend(line.split('`').skip(1).step_by(2).filter_map(words));
        }
    }
    found
}

fn words(command: &str) -> Option<Vec<String>> {
    let rest = command.strip_prefix("trunkline ")?;
    let words = rest.split_whitespace().map(|it| it.trim_matches(['[', ']']).to_owned());
    Some(words.take_while(|it| it != "--" && it != "#").collect())
}

fn subcommands() -> BTreeSet<String> {
    let help = help(&[]);
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    list.lines().map(|it| it.split_whitespace().next().unwrap().to_owned()).collect()
}

fn help(command: &[&str]) -> String {
    let mut trunkline = Command::new(env!("CARGO_BIN_EXE_trunkline"));
    let output = trunkline.args(command).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
