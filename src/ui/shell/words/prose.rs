//! Texts with backticks as HTML. Pure.

/// The text with everything escaped that means something in HTML, and with pairs of backticks on one line as
/// `<code>`.
pub(super) fn html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('`') {
        escape(before, &mut html);
        let code = behind.split_once('`').filter(|(code, _)| is_code(code));
        if let Some((code, after)) = code {
            html.push_str("<code>");
            escape(code, &mut html);
            html.push_str("</code>");
            rest = after;
        } else {
            html.push('`');
            rest = behind;
        }
    }
    escape(rest, &mut html);
    html
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && !text.contains('\n')
}

fn escape(text: &str, html: &mut String) {
    for sign in text.chars() {
        match sign {
            '&' => html.push_str("&#38;"),
            '<' => html.push_str("&#60;"),
            '>' => html.push_str("&#62;"),
            '"' => html.push_str("&#34;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(sign),
        }
    }
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
