//! Tables as text (RFC 4180), safe to open in a spreadsheet.

/// The columns of an exported audit log.
pub const AUDIT_COLUMNS: [&str; 9] =
    ["id", "at", "actor", "address", "action", "team", "project", "subject", "detail"];

/// One line, with its end.
#[must_use]
pub fn line(fields: &[&str]) -> String {
    fields.iter().map(|it| field(it)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A spreadsheet takes what begins like this for a formula, and would carry it out
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_table_is_quoted() {
        assert_eq!(line(&["a", "b,c", "d\"e", "f\ng"]), "a,\"b,c\",\"d\"\"e\",\"f\ng\"\r\n");
    }

    #[test]
    fn what_a_spreadsheet_would_carry_out_is_text() {
        assert_eq!(line(&["=1+1", "@x", "-1"]), "'=1+1,'@x,'-1\r\n");
    }
}
