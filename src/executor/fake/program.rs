//! The few commands that imagined steps know.

/// One thing that a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Print(String),
    Metric(String),
    Output(String),
    /// Path, text, and whether it is added to what is there.
    Write(String, String, bool),
    Show(String),
    Sleep(u64),
    Exit(i32),
    IgnoreSignal,
    OutOfMemory,
    Vanish,
    Nothing,
}

/// What the lines of a step do.
pub(super) fn actions(text: &str) -> Vec<Action> {
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    lines.flat_map(|line| action(&words(line))).collect()
}

fn action(words: &[String]) -> Vec<Action> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let one = match words.as_slice() {
        ["echo" | "print", rest @ ..] => return vec![printed(rest)],
        ["cat", file] => Action::Show((*file).to_owned()),
        ["sleep", seconds] => Action::Sleep(milliseconds(seconds)),
        ["exit", code] => Action::Exit(code.parse().unwrap_or(2)),
        [] | ["exit"] | ["true" | ":", ..] => Action::Nothing,
        ["false"] => Action::Exit(1),
        ["trap", "", "TERM"] => Action::IgnoreSignal,
        ["metric", name, value] => Action::Metric(format!("{{\"{name}\":{value}}}\n")),
        ["output", key, value] => Action::Output(format!("{key}={value}\n")),
        ["oom"] => Action::OutOfMemory,
        ["vanish"] => Action::Vanish,
        [program, ..] => {
            return vec![Action::Print(format!("sh: {program}: not found\n")), Action::Exit(127)];
        }
    };
    vec![one]
}

/// `echo`, with its output sent elsewhere or not.
fn printed(words: &[&str]) -> Action {
    let place = words.iter().position(|it| matches!(*it, ">" | ">>"));
    let text = |words: &[&str]| format!("{}\n", words.join(" "));
    let Some((text_words, [sign, file, ..])) = place.and_then(|it| words.split_at_checked(it))
    else {
        return Action::Print(text(words));
    };
    match *file {
        "$TRUNKLINE_METRICS" => Action::Metric(text(text_words)),
        "$TRUNKLINE_OUTPUTS" => Action::Output(text(text_words)),
        file => Action::Write(file.to_owned(), text(text_words), *sign == ">>"),
    }
}

fn milliseconds(seconds: &str) -> u64 {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    if whole == "infinity" {
        return 1000 * 60 * 60 * 24 * 365;
    }
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    whole.parse().unwrap_or(0) * 1000 + part.parse().unwrap_or(0)
}

/// Words as a shell splits them: quotes keep blanks together, nothing is expanded.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, ' ' | '\t') => words.extend(word.take()),
            (Some(_) | None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_does() {
        assert_eq!(
            words(r#"echo 'a  b' "c d" >> "$X" """#),
            ["echo", "a  b", "c d", ">>", "$X", ""]
        );
    }

    #[test]
    fn commands_become_actions() {
        let text = "echo a b\nmetric f1 0.9\necho x >> f\nsleep 1.5\nfalse\nmake\n";
        let made = actions(text);
        let wanted = [
            Action::Print("a b\n".to_owned()),
            Action::Metric("{\"f1\":0.9}\n".to_owned()),
            Action::Write("f".to_owned(), "x\n".to_owned(), true),
            Action::Sleep(1500),
            Action::Exit(1),
            Action::Print("sh: make: not found\n".to_owned()),
            Action::Exit(127),
        ];
        assert_eq!(made, wanted);
    }
}
