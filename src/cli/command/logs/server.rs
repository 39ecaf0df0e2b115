//! `trunkline logs` of a run of a server.

use super::args::{LogsArgs, with_attempt};
use crate::cli::failure::Exit;
use crate::cli::remote::Remote;
use crate::cli::remote::logs::RemoteLine;
use crate::cli::remote::watch::{News, Wanted, Watch};
use crate::cli::session::Session;
use crate::cli::view::log::LogStyle;
use crate::model::StageIndex;
use crate::runs::view::RunView;

/// A line longer than this is shown in pieces.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Shows logs, as `args` says.
pub(super) async fn execute(
    session: &Session,
    (remote, run): (&Remote, RunView),
    (stages, args, style): (&[StageIndex], &LogsArgs, LogStyle),
) -> anyhow::Result<Exit> {
    debug_assert_eq!(session.output.json, style.output.json, "one output");
    if args.follow {
        return follow(remote, run, (stages, args, &style)).await;
    }
    for name in with_attempt(&run, stages, args)? {
        if args.raw {
            print_raw(remote, (&run, name), &style).await?;
        } else {
            print(remote, (&run, name), (args, &style)).await?;
        }
    }
    Ok(Exit::Passed)
}

/// A whole log, line by line.
async fn print(
    remote: &Remote,
    (run, name): (&RunView, (StageIndex, u32)),
    (args, style): (&LogsArgs, &LogStyle),
) -> anyhow::Result<()> {
    let mut from = "1".to_owned();
    let mut joined = Joined::default();
    loop {
        let page = remote.log_page(run, name, &from).await?;
        let mut shown = String::new();
        for line in page.items.into_iter().filter(|it| is_wanted(it, args)) {
            let Some(line) = joined.push(line) else { continue };
            shown.push_str(&style.line(run, name, (&line.text, Some(line.at)))?);
        }
        style.output.bytes(shown.as_bytes())?;
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    if let Some(rest) = joined.0 {
        let shown = style.line(run, name, (&rest.text, Some(rest.at)))?;
        style.output.bytes(shown.as_bytes())?;
    }
    Ok(())
}

/// A whole log, byte for byte.
async fn print_raw(
    remote: &Remote,
    (run, name): (&RunView, (StageIndex, u32)),
    style: &LogStyle,
) -> anyhow::Result<()> {
    let mut response = remote.open_log(run, name).await?;
    while let Some(piece) = response.chunk().await? {
        style.output.bytes(&piece)?;
    }
    Ok(())
}

/// Shows what stages print until they have ended, over restarts of the server.
async fn follow(
    remote: &Remote,
    run: RunView,
    (stages, args, style): (&[StageIndex], &LogsArgs, &LogStyle),
) -> anyhow::Result<Exit> {
    let wanted = Wanted { stages: Some(stages.to_vec()), attempt: args.attempt };
    let mut watch = Watch::start(remote, run, wanted);
    while !watch.is_over(stages) {
        let news = watch.next().await?;
        if let News::Lines { stage, attempt, lines } = &news {
            let lines = lines.iter().filter(|it| is_wanted(it, args));
            let shown = lines
                .map(|it| style.line(watch.run(), (*stage, *attempt), (&it.text, Some(it.at))))
                .collect::<Result<String, _>>()?;
            style.output.bytes(shown.as_bytes())?;
        }
        watch.refresh().await?;
    }
    Ok(Exit::Passed)
}

fn is_wanted(line: &RemoteLine, args: &LogsArgs) -> bool {
    args.step.is_none_or(|it| line.step == Some(it - 1))
}

/// Pieces of one long line, put together again.
#[derive(Debug, Default)]
struct Joined(Option<RemoteLine>);

impl Joined {
    /// The whole line, once its last piece is there.
    fn push(&mut self, piece: RemoteLine) -> Option<RemoteLine> {
        let is_cut = piece.is_cut;
        let line = match self.0.take() {
            Some(line) => RemoteLine { text: line.text + &piece.text, ..line },
            None => piece,
        };
        if is_cut && line.text.len() < LINE_BYTES_MAX {
            self.0 = Some(line);
            return None;
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn pieces_of_a_long_line_become_one() {
        let piece = |text: &str, is_cut| RemoteLine {
            step: None,
            at: Timestamp(1),
            text: text.to_owned(),
            is_cut,
        };
        let mut joined = Joined::default();
        assert_eq!(joined.push(piece("a", false)).unwrap().text, "a");
        assert_eq!(joined.push(piece("b", true)), None);
        assert_eq!(joined.push(piece("c", true)), None);
        assert_eq!(joined.push(piece("d", false)).unwrap().text, "bcd");
        assert!(joined.0.is_none());
    }
}
