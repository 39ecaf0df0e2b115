//! The shell texts of an attempt: what runs its steps one after the other, and what its environment is.
//! POSIX only, and nothing but the shell's own commands, for images hold busybox, dash or bash.

use std::fmt::Write as _;

use crate::executor::{ExecutorError, StepSpec};

/// Where the shell finds things.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// Folder with the scripts.
    pub(super) control: &'a str,
    /// Folder in which steps run.
    pub(super) workspace: &'a str,
    /// Whether its own id and its exit code are wanted in the files `pid` and `exit` of the control folder:
    /// where no daemon knows them.
    pub(super) writes_exit: bool,
}

/// The steps of one container: their places in the stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps<'a> {
    /// Place of the first one in the stage.
    pub(super) first: u32,
    /// They themselves.
    pub(super) steps: &'a [StepSpec],
}

/// What a waiting container runs: it goes on when the marker `began` is there. `go` is a FIFO, so the
/// wait costs nothing; a line in it without the marker only makes it look again.
pub(super) fn entry(control: &str) -> String {
    format!(
        "while [ ! -e {control}/began ]; do [ -p {control}/go ] || exit 125; read -r _ <{control}/go; \
         done; exec /bin/sh {control}/main.sh"
    )
}

/// The script that runs the steps.
///
/// Each step is a child in the foreground: a shell gives background children an ignored SIGINT, which
/// breaks tests of signal handling. A SIGTERM is remembered and no further step starts.
pub(super) fn main_script(places: Places<'_>, nonce: &str, steps: Steps<'_>) -> String {
    let mut text = opening(places);
    let _ = write!(
        text,
        "[ -e \"$tl_control/failed\" ] && read -r tl_failed <\"$tl_control/failed\"\n\
         tl_step() {{\n\
         \x20 [ -z \"$tl_stopped\" ] || return 0\n\
         \x20 if [ \"$tl_failed\" = 0 ]; then [ \"$2\" = 1 ] || return 0; \
         else [ \"$3\" = 1 ] || return 0; fi\n\
         \x20 printf '\\036%s start %s\\n' {nonce} \"$1\"\n\
         \x20 ( . \"$tl_control/env.sh\"; [ ! -e \"$tl_control/step-$1.env\" ] || \
         . \"$tl_control/step-$1.env\"; exec /bin/sh -e \"$tl_control/step-$1.sh\" )\n\
         \x20 tl_code=$?\n\
         \x20 printf '\\036%s end %s %s\\n' {nonce} \"$1\" \"$tl_code\"\n\
         \x20 [ \"$tl_failed\" != 0 ] || tl_failed=$tl_code\n\
         }}\n"
    );
    for (index, step) in (steps.first..).zip(steps.steps) {
        let (passing, failed) = (u8::from(step.when_passing), u8::from(step.when_failed));
        let _ = writeln!(text, "tl_step {index} {passing} {failed}");
    }
    text.push_str(&closing(places));
    text
}

/// The script that runs one program.
pub(super) fn program_script(places: Places<'_>, words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|it| quote(it)).collect();
    format!(
        "{}if [ -z \"$tl_stopped\" ]; then\n\
         \x20 ( . \"$tl_control/env.sh\"; exec {} )\n\
         \x20 tl_failed=$?\n\
         fi\n{}",
        opening(places),
        words.join(" "),
        closing(places),
    )
}

fn opening(places: Places<'_>) -> String {
    let claim = if places.writes_exit {
        // Of two shells that a dying and a new engine started, the one that makes the file goes on.
        "set -C\n{ echo $$ >\"$tl_control/pid\"; } 2>/dev/null || exit 0\nset +C\n"
    } else {
        ""
    };
    format!(
        "tl_control={control} tl_stopped= tl_failed=0\n\
         trap 'tl_stopped=1' TERM\n\
         {claim}\
         exec 2>&1 </dev/null\n\
         [ ! -e \"$tl_control/stopped\" ] || tl_stopped=1\n\
         cd {workspace} || exit 125\n\
         [ -w \"${{HOME:-/}}\" ] || export HOME=/tmp\n",
        control = quote(places.control),
        workspace = quote(places.workspace),
    )
}

fn closing(places: Places<'_>) -> String {
    let mut text =
        "[ -z \"$tl_stopped\" ] || [ \"$tl_failed\" != 0 ] || tl_failed=143\n".to_owned();
    if places.writes_exit {
        text.push_str("printf '%s\\n' \"$tl_failed\" >\"$tl_control/exit\"\n");
    }
    text.push_str("exit \"$tl_failed\"\n");
    text
}

/// Shell text that exports these variables.
///
/// Refused for a name that a shell cannot hold or a value with a zero byte.
pub(super) fn exports(env: &[(String, String)]) -> Result<String, ExecutorError> {
    let mut text = String::new();
    for (name, value) in env {
        if !is_name(name) {
            return Err(ExecutorError::Rejected(format!(
                "environment variable `{name}` cannot be set: a shell knows only names of letters, \
                 digits and `_`"
            )));
        }
        if value.contains('\0') {
            return Err(ExecutorError::Rejected(format!(
                "the value of environment variable `{name}` has a zero byte, which no process can be given"
            )));
        }
        let _ = writeln!(text, "export {name}={}", quote(value));
    }
    Ok(text)
}

fn is_name(name: &str) -> bool {
    let is_word = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
    !name.is_empty()
        && name.bytes().all(is_word)
        && !name.bytes().next().is_some_and(|it| it.is_ascii_digit())
}

/// The text as one word of a shell.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
