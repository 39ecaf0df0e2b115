//! An installation that people have used for a while: teams, a project with runs in every state, secrets, reports.

use serde_json::{Value, json};

use crate::installation::{Installation, PASSWORD, Remote, Rows};

const CI: &str = include_str!("shop/ci.yml");
const RELEASE: &str = include_str!("shop/release.yml");
const SLOW: &str = include_str!("shop/slow.yml");
const NIGHTLY: &str = include_str!("shop/nightly.yml");
const EVAL: &str = include_str!("shop/eval.sh");
const UNIT: &str = include_str!("shop/unit.sh");
const SCAN: &str = include_str!("shop/scan.sarif");

/// The installation, and what a journey through its pages knows of it.
pub(crate) struct Shop {
    pub(crate) installation: Installation,
    pub(crate) web: Remote,
    pub(crate) facts: Value,
}

impl Shop {
    /// `None` where a part is missing.
    pub(crate) fn open(rows: Rows) -> Option<Self> {
        let installation = Installation::start(rows)?;
        installation.member("ben", "approver");
        installation.member("cleo", "viewer");
        let web = installation.project(
            "web",
            &[
                ("pipelines/ci.yml", CI),
                ("pipelines/release.yml", RELEASE),
                ("pipelines/slow.yml", SLOW),
                ("pipelines/nightly.yml", NIGHTLY),
                ("ci/unit.sh", UNIT),
                ("ci/eval.sh", EVAL),
                ("ci/scan.sarif", SCAN),
                ("metrics.json", "{\"f1\": 0.91, \"cost_usd\": 0.42}\n"),
                ("prompts/answer.md", "Answer in one sentence.\n"),
                ("src/shop.py", "def sell(thing):\n    return thing\n"),
            ],
        );
        let facts = json!({ "url": installation.url, "password": PASSWORD });
        let mut shop = Self { installation, web, facts };
        shop.settle();
        shop.live();
        Some(shop)
    }

    /// What admins set.
    fn settle(&self) {
        let it = &self.installation;
        it.types("a value that nobody sees", &["secret", "set", "shop/web", "REGISTRY_TOKEN"]);
        it.types(
            "s3cret of live",
            &["secret", "set", "shop/web", "api-key", "--environment", "live"],
        );
        it.types("s3cret of all", &["secret", "set", "shop", "MODEL_API_KEY"]);
        it.says(&["project", "hook-secret", "shop/web"]);
        let limit = ["--team", "shop", "--usd", "0.01", "--window", "month"];
        it.says(&[&["budget", "set", "month"], &limit[..]].concat());
        it.says(&["budget", "set", "each-run", "--usd", "2.50", "--scope", "run=*"]);
    }

    /// Runs: passed, failed, waiting for people, at work; a release that somebody has let through.
    fn live(&mut self) {
        let run = |name: &str| {
            let made = self.installation.says(&["run", name, "--project", "shop/web", "--json"]);
            id_of(&made)
        };
        let pushed = |title: &str, files: &[(&str, &str)]| {
            self.web.push("main", title, files);
            let ended = self
                .installation
                .wait_until("last", |it| it["title"] == title && !it["finished_at"].is_null());
            ended["id"].as_str().unwrap().to_owned()
        };
        let released = self.installation.detached("release");
        self.installation.wait_until(&released, |it| it["status"] == "waiting");
        self.installation.approve_as("ben", &released, "approve");
        self.installation.wait_until(&released, |it| it["status"] == "passed");
        let green = pushed(
            "Sell umbrellas",
            &[
                ("src/shop.py", "def sell(it):\n    return [it]\n"),
                ("prompts/answer.md", "Answer in one sentence.\nName the price.\n"),
            ],
        );
        let red = pushed("Break the tests", &[("broken", "yes\n")]);
        run("nightly");
        let waiting = self.installation.detached("release");
        let slow = self.installation.detached("slow");
        self.installation.wait_until(&waiting, |it| it["status"] == "waiting");
        self.installation.wait_until(&slow, |it| it["status"] == "running");
        let failed = self.installation.json(&["show", &red]);
        let stages = failed["stages"].as_array().unwrap();
        let failing = stages.iter().find(|it| it["status"] == "failed").unwrap();
        self.facts["failing"] = failing["key"].clone();
        let traces = self.installation.json(&["traces", "--run", &green]);
        self.facts["trace"] = traces[0]["trace"].clone();
        for (name, id) in [("green", green), ("red", red), ("waiting", waiting), ("slow", slow)] {
            self.facts[name] = json!(id);
        }
    }
}

impl Installation {
    /// Starts a run of the project `web`, and waits for nothing.
    fn detached(&self, pipeline: &str) -> String {
        let arguments = ["run", pipeline, "--project", "shop/web", "--detach", "--json"];
        id_of(&self.says(&arguments))
    }
}

/// Id of the run in what `run --json` prints: lines, the last of which is the run.
fn id_of(printed: &str) -> String {
    let line = printed.lines().last().unwrap();
    let run: Value = serde_json::from_str(line).unwrap();
    run["id"].as_str().unwrap_or_else(|| panic!("no run: {printed}")).to_owned()
}
