use proptest::prelude::*;

use super::*;

fn masked(secrets: &[&str], text: &str) -> String {
    Masker::new(secrets.iter().copied()).mask(text)
}

fn streamed(secrets: &[&str], pieces: &[&[u8]]) -> Vec<u8> {
    let mut masker = Masker::new(secrets.iter().copied());
    let mut output: Vec<u8> = pieces.iter().flat_map(|piece| masker.feed(piece)).collect();
    output.extend(masker.finish());
    output
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_secret_is_replaced_wherever_it_stands() {
    assert_eq!(masked(&["hunter22"], "a hunter22b,hunter22"), "a ***b,***");
}

#[test]
fn the_longer_of_two_secrets_with_one_beginning_wins() {
    assert_eq!(masked(&["token", "token-for-ci"], "token-for-ci token"), "*** ***");
}

#[test]
fn secrets_that_overlap_are_hidden_together() {
    assert_eq!(masked(&["abcdef", "defghi"], "-abcdefghi-"), "-***-");
    assert_eq!(streamed(&["abcdef", "defghi"], &[b"-abcdef", b"g", b"h", b"i-"]), b"-***-");
    assert_eq!(streamed(&["abcdef", "defghi"], &[b"-abcdef", b"g", b"hx-"]), b"-***ghx-");
}

#[test]
fn values_that_would_hide_the_log_are_counted_and_left_alone() {
    let long = "x".repeat(SECRET_MAX_BYTES + 1);
    let masker = Masker::new(["abc", "", "      ", "abcd", long.as_str()]);
    assert_eq!(masker.unmasked(), 3);
    assert_eq!(masker.mask("abc      abcd"), "abc      ***");
}

#[test]
fn only_a_tail_that_may_become_a_secret_is_held_back() {
    let mut masker = Masker::new(["hunter22"]);
    assert_eq!(masker.feed(b"nothing here\n"), b"nothing here\n");
    assert_eq!(masker.feed(b"say hunt"), b"say ");
    assert_eq!(masker.feed(b"ing or h"), b"hunting or ");
    assert_eq!(masker.feed(b"unter22"), b"***");
    assert_eq!(masker.feed(b"hun"), b"");
    assert_eq!(masker.finish(), b"hun");
    assert_eq!(masker.finish(), b"");
}

#[test]
fn each_line_of_a_key_is_hidden_on_its_own() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\nend\n-----END KEY-----\n";
    assert_eq!(masked(&[key], key.trim()), "***");
    assert_eq!(masked(&[key], "1: MIIEvQIBADANBgkq\r\n2: end"), "1: ***\r\n2: end");
    assert_eq!(masked(&["abcd1234\n"], "value=abcd1234."), "value=***.");
}

#[test]
fn base64_is_hidden_at_every_offset_and_with_any_neighbours() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

    let secret = "p~ss>wörd?!";
    for before in ["", "u", "us", "user:", "xxxxxx"] {
        for after in ["", "\n", "ab", "xyz"] {
            let text = format!("{before}{secret}{after}");
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&text);
                let output = masked(&[secret], &encoded);
                let (left, right) = output.split_once("***").expect("something is hidden");
                // At most one or two characters before hold bits of the secret, and one after.
                assert!(left.len() <= (before.len() * 8).div_ceil(6), "{encoded} -> {output}");
                assert!(right.len() <= (after.len() * 8).div_ceil(6) + 3, "{encoded} -> {output}");
                assert!(!after.is_empty() || right.is_empty(), "{encoded} -> {output}");
            }
        }
    }
}

#[test]
fn base64_that_a_tool_has_wrapped_is_hidden_line_by_line() {
    use base64::Engine as _;

    let secret = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(6);
    let encoded = base64::engine::general_purpose::STANDARD.encode(&secret);
    for width in [76, 64] {
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(width).map(|it| std::str::from_utf8(it).unwrap()).collect();
        let output = masked(&[&secret], &lines.join("\n"));
        assert!(output.split('\n').all(|line| line == "***"), "{output}");
    }
}

#[test]
fn an_encoding_is_hidden_wherever_it_is_wrapped() {
    use base64::Engine as _;

    let secret = "correct horse battery staple";
    for before in ["", "u", "user:"] {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{before}{secret}"));
        let digits = hex::encode(format!("{before}{secret}"));
        for text in [&encoded, &digits] {
            for (width, end) in (1..40).flat_map(|width| [(width, "\n"), (width, "\r\n")]) {
                let lines: Vec<_> = text
                    .as_bytes()
                    .chunks(width)
                    .map(|it| std::str::from_utf8(it).unwrap())
                    .collect();
                let output = masked(&[secret], &lines.join(end));
                let left = output.split_once("***").expect("something is hidden").0;
                let (left, most) = (left.replace(end, ""), before.len() * 2);
                assert!(left.len() <= most && output.ends_with("***"), "{width}: {output}");
            }
        }
    }
}

#[test]
fn lines_of_a_secret_that_tell_nothing_are_hidden_only_with_the_rest() {
    let key = "{\n  \"id\": \"k9\",\n  \"pin\": \"1234\"\n}\n-----\n";
    assert_eq!(masked(&[key], key), "***");
    assert_eq!(masked(&[key], "{\n----- }\n"), "{\n----- }\n");
    assert_eq!(masked(&[key], "got \"pin\": \"1234\""), "got ***");
    assert_eq!(masked(&["first\nlast\n"], "last one"), "*** one");
}

#[test]
fn every_usual_encoding_is_hidden() {
    let secret = "p@ss/w\"o'r d$\\é<&>\n2nd";
    let forms = [
        "p%40ss%2Fw%22o%27r%20d%24%5C%C3%A9%3C%26%3E%0A2nd",
        "p%40ss%2fw%22o%27r%20d%24%5c%c3%a9%3c%26%3e%0a2nd",
        "p%40ss%2Fw%22o%27r+d%24%5C%C3%A9%3C%26%3E%0A2nd",
        "p%40ss%2Fw%22o'r%20d%24%5C%C3%A9%3C%26%3E%0A2nd",
        "p@ss/w%22o'r%20d$%5C%C3%A9%3C&%3E%0A2nd",
        r#"p@ss/w\"o'r d$\\é<&>\n2nd"#,
        r#"p@ss\/w\"o'r d$\\é<&>\n2nd"#,
        r#"p@ss/w\"o'r d$\\\u00e9<&>\n2nd"#,
        r#"p@ss/w\"o'r d$\\\u00E9<&>\n2nd"#,
        r#"p@ss/w\"o'r d$\\é\u003c\u0026\u003e\n2nd"#,
        r#"p@ss/w\\\"o'r d$\\\\é<&>\\n2nd"#,
        "p@ss/w\"o'\\''r d$\\é<&>\n2nd",
        "p@ss/w\"o'\"'\"'r d$\\é<&>\n2nd",
        "p@ss/w\\\"o'r d\\$\\\\é<&>\n2nd",
        r#"p@ss/w"o\'r d$\\é<&>\n2nd"#,
        r#"p@ss/w"o\'r d$\\\303\251<&>\n2nd"#,
        "p@ss/w&quot;o&#39;r d$\\é&lt;&amp;&gt;\n2nd",
        "p@ss/w\"o'r d$\\é&lt;&amp;&gt;\n2nd",
        "704073732f77226f27722064245cc3a93c263e0a326e64",
        "704073732F77226F27722064245CC3A93C263E0A326E64",
    ];
    for form in forms {
        assert_eq!(masked(&[secret], &format!("<{form}>")), "<***>", "{form}");
    }
}

#[test]
fn what_bash_prints_for_a_word_is_hidden() {
    for secret in ["it's $HOME & co", "tab\there 'x'", "ünï~cödé {a,b} #1"] {
        for script in ["printf %q \"$1\"", "echo \"${1@Q}\"", "set -x; : \"$1\""] {
            let Ok(output) =
                std::process::Command::new("bash").args(["-c", script, "bash", secret]).output()
            else {
                return println!("skipped: there is no bash here");
            };
            let printed = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&printed);
            assert!(masked(&[secret], &text).contains("***"), "{script}: {text}");
        }
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let mut masker = Masker::new(["hunter22"]);
    masker.feed(b"hunter2");
    assert!(!format!("{masker:?}").contains("hunter"));
}

#[test]
fn without_secrets_everything_passes_at_once() {
    let mut masker = Masker::new([]);
    assert_eq!(masker.feed(b"any\xFFthing"), b"any\xFFthing");
    assert_eq!(masker.finish(), b"");
}

/// Few letters, so that secrets meet, overlap and nearly match.
fn secrets() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ab'\"/ \n]{1,12}|[a-c]{4,6}|\\PC{4,20}", 0..4)
}

/// Text made of secrets in their forms, beginnings of them, and noise.
fn stream(secrets: &[String]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let mut all = forms::Forms::default();
    secrets.iter().filter(|it| it.trim().len() >= 4).for_each(|it| all.add_secret(it));
    let mut list: Vec<Vec<u8>> = all.into_list().into_iter().map(|it| it.bytes).collect();
    list.push(b"ab".to_vec());
    let part = (prop::sample::select(list), 0_usize..40, any::<bool>(), 0_usize..12).prop_map(
        |(mut form, length, is_whole, width)| {
            form.truncate(if is_whole { form.len() } else { length });
            // From 2 on it is wrapped, which only some forms bear.
            let lines: Vec<&[u8]> =
                form.chunks(if width < 2 { usize::MAX } else { width }).collect();
            lines.join(if width % 3 == 0 { b"\r\n".as_slice() } else { b"\n" })
        },
    );
    let noise = prop::collection::vec(prop::sample::select(b"abc'\" \n/x".to_vec()), 0..6);
    prop::collection::vec(prop_oneof![part, noise], 0..12).prop_map(|parts| parts.concat())
}

fn secrets_and_stream() -> impl Strategy<Value = (Vec<String>, Vec<u8>)> {
    secrets().prop_flat_map(|secrets| {
        let stream = stream(&secrets);
        (Just(secrets), stream)
    })
}

/// How much of the text is the form, where it begins with it.
fn length_of(form: &forms::Form, text: &[u8]) -> Option<usize> {
    if !form.wraps {
        return text.starts_with(&form.bytes).then_some(form.bytes.len());
    }
    let line_end = |at: usize| {
        [2, 1].into_iter().find(|length| {
            let part = text.get(at..at + length);
            part == Some(b"\r\n".as_slice()) || part == Some(b"\n".as_slice())
        })
    };
    let mut at = 0;
    for (place, byte) in form.bytes.iter().enumerate() {
        at += line_end(at).filter(|_| place > 0).unwrap_or(0);
        text.get(at).filter(|it| *it == byte)?;
        at += 1;
    }
    Some(at)
}

/// The definition, written the slow way: every byte of every occurrence is hidden.
fn masked_slowly(list: &[forms::Form], text: &[u8]) -> Vec<u8> {
    let (mut output, mut covered) = (Vec::new(), 0);
    for start in 0..text.len() {
        let longest = list.iter().filter_map(|it| length_of(it, &text[start..])).max().unwrap_or(0);
        if longest > 0 && start >= covered {
            output.extend_from_slice(MASK);
        }
        covered = covered.max(start + longest);
        if start >= covered {
            output.push(text[start]);
        }
    }
    output
}

proptest! {
    #[test]
    fn the_borders_of_pieces_change_nothing(
        (secrets, text) in secrets_and_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut all = forms::Forms::default();
        secrets.iter().filter(|it| it.trim().len() >= 4).for_each(|it| all.add_secret(it));
        let expected = masked_slowly(&all.into_list(), &text);

        let mut cuts: Vec<usize> = cuts.iter().map(|it| it.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|it| &text[it[0]..it[1]]).collect();
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        prop_assert_eq!(streamed(&names, &pieces), expected.clone());
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(streamed(&names, &bytes), expected);
    }

    #[test]
    fn no_form_of_a_secret_is_ever_shown((secrets, text) in secrets_and_stream()) {
        let mut all = forms::Forms::default();
        secrets.iter().filter(|it| it.trim().len() >= 4).for_each(|it| all.add_secret(it));
        let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let output = streamed(&names, &[&text]);
        for form in all.into_list().iter().filter(|form| !form.bytes.contains(&b'*')) {
            prop_assert!(!contains(&output, &form.bytes));
        }
    }

    #[test]
    fn text_without_secrets_is_unchanged(text in "[a-z \n]{0,200}", cut in any::<prop::sample::Index>()) {
        let (left, right) = text.as_bytes().split_at(cut.index(text.len() + 1));
        prop_assert_eq!(streamed(&["SECRET-1", "TOKEN-22"], &[left, right]), text.as_bytes());
    }

    #[test]
    fn what_is_held_back_is_shorter_than_the_longest_form((secrets, text) in secrets_and_stream()) {
        let mut all = forms::Forms::default();
        secrets.iter().filter(|it| it.trim().len() >= 4).for_each(|it| all.add_secret(it));
        let longest = all.into_list().iter().map(|it| it.bytes.len()).max().unwrap_or(1);
        let mut masker = Masker::new(secrets.iter().map(String::as_str));
        for piece in text.chunks(3) {
            masker.feed(piece);
            // With a line end of two bytes between all of its bytes.
            prop_assert!(masker.tail.len() < longest * 3);
        }
    }
}
