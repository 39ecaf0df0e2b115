//! What a container prints, cut differently each time, and broken off now and then.

use futures_util::stream;
use trunkline::executor::{ExecutorError, LogItem, LogStream};
use trunkline::model::AttemptName;
use trunkline::model::Clock;

use crate::chance::Dice;
use crate::machine::Machine;
use crate::weather::broken;
use crate::world::Life;

/// How many streams of one attempt break, at most: a log must survive so many.
const BREAKS_MAX: u64 = 3;

/// A place in the output of an attempt.
pub(crate) struct Following {
    machine: Machine,
    name: AttemptName,
    next: usize,
    rest: Option<LogItem>,
    dice: Dice,
    breaks: bool,
    is_over: bool,
}

/// What comes next.
enum Step {
    Item(LogItem),
    Failure(ExecutorError),
    Wait,
    End,
}

impl Following {
    pub(crate) fn stream(machine: Machine, name: AttemptName) -> LogStream {
        let (number, mut dice, percent) = {
            let mut state = machine.world.state();
            let number = state.count("follow", &name.slug());
            let dice = state.weather.dice(("follow", name.slug(), number));
            (number, dice, state.weather.faults_percent)
        };
        let breaks = number <= BREAKS_MAX && dice.percent(percent * 3);
        let (next, rest, is_over) = (0, None, false);
        let following = Self { machine, name, next, rest, dice, breaks, is_over };
        Box::pin(stream::unfold(following, |mut following| async move {
            let item = following.next_item().await?;
            Some((item, following))
        }))
    }

    async fn next_item(&mut self) -> Option<Result<LogItem, ExecutorError>> {
        if self.is_over {
            return None;
        }
        if self.breaks && self.dice.percent(15) {
            self.is_over = true;
            return Some(Err(broken("follow")));
        }
        loop {
            match self.look() {
                Step::Item(item) => return Some(Ok(item)),
                Step::Wait => self.machine.next_change(&self.name).await,
                Step::End => return None,
                Step::Failure(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
        }
    }

    fn look(&mut self) -> Step {
        if let Some(rest) = self.rest.take() {
            return Step::Item(self.cut(rest));
        }
        let now = self.machine.world.now();
        let mut state = self.machine.world.state();
        let gone = || Step::Failure(ExecutorError::Gone(self.name.slug()));
        let Some(container) = state.containers.get_mut(&self.name) else { return gone() };
        container.settle(now);
        let Life::Begun(play, _) = &container.life else { return gone() };
        let item = match play.items.get(self.next) {
            Some(item) if crate::play::at(item) <= now => item.clone(),
            None if play.end <= now => return Step::End,
            Some(_) | None => return Step::Wait,
        };
        drop(state);
        self.next += 1;
        Step::Item(self.cut(item))
    }

    /// Keeps a part of the bytes for the next time.
    fn cut(&mut self, item: LogItem) -> LogItem {
        let LogItem::Output { at, mut bytes } = item else { return item };
        if bytes.len() > 1 && self.dice.percent(40) {
            let place = self.dice.count(1, bytes.len() - 1);
            let rest = bytes.split_off(place);
            self.rest = Some(LogItem::Output { at, bytes: rest });
        }
        LogItem::Output { at, bytes }
    }
}
