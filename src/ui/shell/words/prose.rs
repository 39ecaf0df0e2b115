//! Texts with backticks as HTML. Pure.

use crate::ui::shell::markup::escape_html;

/// The text with everything escaped that means something in HTML, and with pairs of backticks on one line as
/// `<code>`.
pub(super) fn html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('`') {
        escape_html(&mut html, before);
        let code = behind.split_once('`').filter(|(code, _)| is_code(code));
        if let Some((code, after)) = code {
            html.push_str("<code>");
            escape_html(&mut html, code);
            html.push_str("</code>");
            rest = after;
        } else {
            html.push('`');
            rest = behind;
        }
    }
    escape_html(&mut html, rest);
    html
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && !text.contains('\n')
}

#[cfg(test)]
mod tests {
    use super::html;

    #[test]
    fn what_stands_between_backticks_becomes_code() {
        assert_eq!(html("`days` is 1 to 366"), "<code>days</code> is 1 to 366");
        assert_eq!(html("`a` and `b`"), "<code>a</code> and <code>b</code>");
        assert_eq!(html("no code"), "no code");
    }

    #[test]
    fn a_backtick_alone_stays_one() {
        assert_eq!(html("it`s"), "it`s");
        assert_eq!(html("``"), "``");
        assert_eq!(html("`one\ntwo`"), "`one\ntwo`");
        assert_eq!(html("```\n`x`"), "```\n<code>x</code>");
    }

    #[test]
    fn markup_is_text_inside_and_outside_of_code() {
        assert_eq!(html("<b>`<i>&\"'`"), "&#60;b&#62;<code>&#60;i&#62;&#38;&#34;&#39;</code>");
    }
}
