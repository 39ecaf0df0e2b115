//! References of images, by the grammar of the registries (`distribution/reference`,
//! <https://pkg.go.dev/github.com/distribution/reference>): `[host[:port]/]name[:tag][@digest]`.

use super::fields::Read;
use crate::pipeline::Template;
use crate::pipeline::reading::Reading;
use crate::pipeline::yaml::Node;

#[cfg(test)]
mod tests;

/// Characters of the longest name, host included.
const LONGEST_NAME: usize = 255;

/// Characters of the longest tag.
const LONGEST_TAG: usize = 128;

/// An image reference, which may hold `${{ }}`.
#[derive(Debug, Clone)]
pub(crate) struct ImageName(pub(crate) Template);

impl Read for ImageName {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let template = Template::read(node, label, reading)?;
        refuse(template.source(), problem, node, reading)?;
        Some(Self(template))
    }
}

/// A name to tag an image with: a reference without a digest.
pub(crate) struct ImageTag;

impl Read for ImageTag {
    fn read(node: &Node, label: &str, reading: &Reading) -> Option<Self> {
        let template = Template::read(node, label, reading)?;
        let problem = |it: &str| match it.split_once('@') {
            Some(_) => Some(("a tag cannot have a digest".to_owned(), "remove what follows `@`")),
            None => problem(it),
        };
        refuse(template.source(), problem, node, reading).map(|()| Self)
    }
}

/// A problem and its fix.
type Problem = (String, &'static str);

fn refuse(
    source: &str,
    problem: impl Fn(&str) -> Option<Problem>,
    node: &Node,
    reading: &Reading,
) -> Option<()> {
    let found = if source.contains("${{") { problem_around(source) } else { problem(source) };
    let Some((what, help)) = found else { return Some(()) };
    let message = format!("`{source}` is not the name of an image: {what}");
    reading.error("pipeline/image", node.place, message, help);
    None
}

/// What is wrong in the constant parts of a text with `${{ }}`.
fn problem_around(source: &str) -> Option<Problem> {
    let parts = source.split("${{").enumerate();
    let constant = parts.map(|(index, part)| match index {
        0 => part,
        _ => part.split_once("}}").map_or("", |(_, rest)| rest),
    });
    constant.flat_map(str::chars).find(|it| !may_stand(*it)).map(stranger)
}

fn may_stand(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || "._-/:@[]+".contains(sign)
}

fn stranger(sign: char) -> Problem {
    let shown = if sign == ' ' { "a space".to_owned() } else { format!("`{sign}`") };
    (format!("{shown} cannot stand in it"), FORM)
}

const FORM: &str = "write `name`, `name:tag` or `registry/name@sha256:…`";

/// What is wrong with a reference.
fn problem(reference: &str) -> Option<Problem> {
    if reference.contains("://") {
        let what = "it begins with a protocol".to_owned();
        return Some((what, "write only `registry.example.com/name:tag`"));
    }
    if let Some(sign) = reference.chars().find(|it| !may_stand(*it)) {
        return Some(stranger(sign));
    }
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    // A `:` before the last `/` belongs to the port of the registry.
    let name_end = rest.rfind('/').map_or(0, |at| at + 1);
    let tag_at = rest.get(name_end..)?.find(':').map(|at| name_end + at);
    let name = rest.get(..tag_at.unwrap_or(rest.len()))?;
    let tag = tag_at.and_then(|at| rest.get(at + 1..));
    problem_of_name(name)
        .or_else(|| tag.and_then(problem_of_tag))
        .or_else(|| digest.and_then(problem_of_digest))
}

fn problem_of_name(name: &str) -> Option<Problem> {
    if name.is_empty() {
        return Some(("it has no name".to_owned(), FORM));
    }
    if name.len() > LONGEST_NAME {
        let what = format!("its name has {} characters, at most {LONGEST_NAME}", name.len());
        return Some((what, "shorten it"));
    }
    if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        let what = "64 hexadecimal digits are the id of an image".to_owned();
        return Some((what, "write `sha256:` before them, or a name"));
    }
    let (host, path) = split_host(name);
    if let Some(host) = host.filter(|it| !is_host(it)) {
        return Some((format!("`{host}` is no registry"), "write `host` or `host:port`"));
    }
    path.split('/').find_map(problem_of_part)
}

/// The registry is the first part when it has a dot, a port or an upper-case letter.
fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        let is_address = address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (labels, port) = match host.split_once(':') {
        Some((labels, port)) => (labels, Some(port)),
        None => (host, None),
    };
    let is_label = |it: &str| {
        !it.is_empty()
            && it.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !it.starts_with('-')
            && !it.ends_with('-')
    };
    labels.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// A part is lower-case letters and digits; `.`, `_`, `__` or any number of `-` may stand between them.
fn problem_of_part(part: &str) -> Option<Problem> {
    if part.is_empty() {
        return Some(("a part of it is empty".to_owned(), "remove the `/` that is too much"));
    }
    if part.bytes().any(|b| b.is_ascii_uppercase()) {
        let what = format!("`{part}` has upper-case letters");
        return Some((what, "write the name in lower case; only a tag may have upper case"));
    }
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separators = part.split(|c: char| c.is_ascii() && is_inner(c as u8));
    let ends_well =
        part.bytes().next().is_some_and(is_inner) && part.bytes().next_back().is_some_and(is_inner);
    let is_separator =
        |it: &str| matches!(it, "" | "." | "_" | "__") || it.bytes().all(|b| b == b'-');
    if ends_well && separators.into_iter().all(is_separator) {
        return None;
    }
    let what = format!("`{part}` cannot be a part of it");
    Some((what, "use lower-case letters and digits, with single `.`, `_` or `-` between them"))
}

fn problem_of_tag(tag: &str) -> Option<Problem> {
    if tag.is_empty() {
        return Some(("its tag is empty".to_owned(), "write the tag, or remove the `:`"));
    }
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_fine = tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-');
    let help =
        "a tag has at most 128 letters, digits, `_`, `.` and `-`, and begins with no `.` or `-`";
    (!is_fine).then(|| (format!("`{tag}` is no tag"), help))
}

fn problem_of_digest(digest: &str) -> Option<Problem> {
    let hex = |it: &str| it.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_fine = match digest.split_once(':') {
        Some(("sha256", digits)) => digits.len() == 64 && hex(digits),
        Some(("sha512", digits)) => digits.len() == 128 && hex(digits),
        Some(_) | None => false,
    };
    let help = "a digest is `sha256:` and 64 hexadecimal digits in lower case";
    (!is_fine).then(|| (format!("`{digest}` is no digest"), help))
}
