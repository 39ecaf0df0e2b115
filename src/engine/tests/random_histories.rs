//! Random graphs, random outcomes, restarts, lost drivers, cancels and re-runs. A failure prints the
//! plan and the script, which can be played as a story.

use proptest::prelude::*;

use super::promises;
use super::world::World;
use crate::engine::{Event, Wanted};
use crate::model::StageStatus;

const SETTINGS: [&str; 14] = [
    "",
    "",
    "",
    "",
    "retry 2 3 infra user",
    "if always()",
    "if failed()",
    "if !failed()",
    "allow",
    "group g",
    "timeout 7",
    "approval 2",
    "builtin eval",
    "if false",
];

const OUTCOMES: [&str; 6] = ["", "", "", "user", "infra", "cancelled"];

/// One stage: which earlier stages it needs (by bit), which of those optionally, and a setting.
type Node = (u16, u16, usize);

fn plan_text(run: usize, nodes: &[Node]) -> String {
    let mut stages = vec![["run timeout 200", "run group g", "", ""][run % 4].to_owned()];
    for (place, (needs, optional, setting)) in nodes.iter().enumerate() {
        let needs = (0..place).filter(|need| needs & (1 << need) != 0).map(|need| {
            let mark = if optional & (1 << need) != 0 { "?" } else { "" };
            format!("s{need}{mark}")
        });
        let needs = needs.collect::<Vec<_>>().join(", ");
        stages.push(format!("s{place} <- {needs}; {}", SETTINGS[setting % SETTINGS.len()]));
    }
    stages.join(" | ")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_run_comes_to_an_end_and_keeps_the_promises(
        run in 0_usize..4,
        nodes in prop::collection::vec((any::<u16>(), any::<u16>(), 0_usize..SETTINGS.len()), 1..12),
        choices in prop::collection::vec((0_u8..20, any::<u16>()), 0..60),
    ) {
        let plan = plan_text(run, &nodes);
        let mut life = Life { world: World::new(&plan), script: Vec::new() };
        life.play("lease 1");
        for (kind, choice) in choices {
            life.choose(kind, usize::from(choice));
        }
        let ended = life.live_to_the_end();
        prop_assert!(ended, "does not end\nplan: {plan}\nscript: {}", life.script.join(", "));
    }
}

struct Life {
    world: World,
    script: Vec<String>,
}

impl Life {
    /// Plays one command; a refusal is fine.
    fn play(&mut self, line: &str) {
        self.script.push(line.to_owned());
        let command = self.world.parse_command(line);
        let Ok(events) = self.world.run.decide(&command, self.world.now) else { return };
        self.world.record(&events);
        promises::check(&self.world, &events);
        self.world.run = self.world.replayed(); // A restart must not be noticed.
    }

    fn choose(&mut self, kind: u8, choice: usize) {
        match kind {
            0 => self.play("cancel"),
            1 => self.play(["rerun failed", "rerun all", "rerun s0"][choice % 3]),
            2 => self.play(&format!("lease {}", self.world.run.epoch() + 1)),
            3 => self.finish(choice, " @0"),
            4 | 5 => self.wait(u64::try_from(choice % 20).unwrap()),
            6 => self.play(&format!("outdated s{}", choice % 12)),
            7 => self.play(&format!("start s{}", choice % 12)),
            8 => self.play(&format!("reject s{} bob", choice % 12)),
            9..=13 => self.finish(choice, ""),
            _ => self.obey(choice),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.script.push(format!("wait {seconds}"));
        self.world.wait(seconds);
        self.play("tick");
    }

    /// Does one of the things that are wanted.
    fn obey(&mut self, choice: usize) {
        let wanted: Vec<_> = self.world.run.wanted(self.world.now).collect();
        let Some(chosen) = wanted.get(choice % wanted.len().max(1)) else { return };
        match chosen {
            Wanted::Admission => self.play("admit"),
            Wanted::Slot(stage) => self.play(&format!("slot s{}", stage.0)),
            Wanted::Start(stage) => self.play(&format!("start s{}", stage.0)),
            Wanted::Kill(name) | Wanted::Stop(name) | Wanted::Attempt(name) => {
                self.play(&format!("fail s{} user", name.stage.0));
            }
            Wanted::WakeAt(moment) => {
                let left = moment.since(self.world.now).0.div_ceil(1000);
                self.wait(left);
            }
            Wanted::Prepare(_) => (),
        }
    }

    /// Ends one of the attempts under way.
    fn finish(&mut self, choice: usize, epoch: &str) {
        let running = self.world.run.stages().filter(|(_, it)| it.status == StageStatus::Running);
        let running: Vec<_> = running.map(|(index, _)| index.0).collect();
        let Some(stage) = running.get(choice % running.len().max(1)) else { return };
        match OUTCOMES[(choice / 7) % OUTCOMES.len()] {
            "" => self.play(&format!("pass s{stage}{epoch}")),
            class => self.play(&format!("fail s{stage} {class}{epoch}")),
        }
    }

    /// Does what is wanted until nothing is, as a driver would; false when that takes too long.
    fn live_to_the_end(&mut self) -> bool {
        for _ in 0..1000 {
            if self.world.run.status().is_finished() {
                return true;
            }
            self.obey(0);
        }
        false
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_skips_is_no_recursion() {
    let needs: Vec<Vec<u32>> =
        (0..100_000_u32).map(|place| place.checked_sub(1).into_iter().collect()).collect();
    let mut world = World::of(super::world::plain_plan(&needs));
    for line in ["lease 1", "start s0"] {
        world.order(&world.parse_command(line)).unwrap();
    }
    let events = world.order(&world.parse_command("fail s0 user")).unwrap();
    let skipped = events.iter().filter(|it| matches!(it, Event::StageSkipped { .. })).count();
    assert_eq!(skipped, 99_999);
    assert!(world.run.status().is_finished());
}
