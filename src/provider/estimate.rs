//! Tokens that are counted without the model's own tokenizer: rather too many than too few.
//! Reservations are made with it, and what a cut stream used when its provider cannot say it. Where the tokenizer of a
//! model is public, what is settled is counted with that.

pub mod heard;
pub mod tokenizer;

/// Tokens that are around every prompt.
const CALL_TOKENS: u64 = 8;
/// Tokens of the hidden prompt that explains tools: Anthropic's is the longest that is published (346).
const TOOL_TOKENS: u64 = 350;
/// The member with tools.
const TOOLS: &[u8] = b"\"tools\"";
/// Tokens of a picture, a sound or a file, besides those of its size.
const MEDIA_TOKENS: u64 = 1600;
/// Bytes of a picture, a sound or a file for one token more.
const MEDIA_BYTES_PER_TOKEN: u64 = 64;

/// What a request means in tokens, with what providers put around it.
#[must_use]
pub fn of_request(body: &[u8]) -> u64 {
    let has_tools = memchr::memmem::find(body, TOOLS).is_some();
    of_json(body) + CALL_TOKENS + if has_tools { TOOL_TOKENS } else { 0 }
}

/// What the bytes of a JSON document mean in tokens: its strings and numbers, and not its braces.
/// Strings that are files (`data:` addresses, and the values of `data`) count as files.
#[must_use]
pub fn of_json(document: &[u8]) -> u64 {
    let mut scan = Scan { rest: document, key: &[], key_tokens: 1, tokens: 0, texts: None };
    scan.run();
    scan.tokens
}

/// The same without the names of members: for the pieces of a streamed answer.
#[must_use]
pub fn of_values(document: &[u8]) -> u64 {
    let mut scan = Scan { rest: document, key: &[], key_tokens: 0, tokens: 0, texts: None };
    scan.run();
    scan.tokens
}

/// Puts the texts of a JSON document one after the other, escaped as they are: what [`of_values`] counts.
fn texts(document: &[u8], texts: &mut Vec<u8>) {
    Scan { rest: document, key: &[], key_tokens: 0, tokens: 0, texts: Some(texts) }.run();
}

/// What a text means in tokens.
#[must_use]
pub fn of_text(text: &[u8]) -> u64 {
    let mut tokens = 0;
    let mut rest = text;
    while let Some(first) = rest.first() {
        let kind = Kind::of(*first);
        let length = rest.iter().position(|it| Kind::of(*it) != kind).unwrap_or(rest.len());
        tokens += kind.tokens(length as u64);
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    Digit,
    Space,
    Mark,
    Foreign,
}

impl Kind {
    fn of(byte: u8) -> Self {
        match byte {
            b'a'..=b'z' => Self::Lower,
            b'A'..=b'Z' => Self::Upper,
            b'0'..=b'9' => Self::Digit,
            b' ' | b'\n' | b'\r' | b'\t' => Self::Space,
            0x80.. => Self::Foreign,
            _ => Self::Mark,
        }
    }

    /// Tokens of a run of bytes of one kind. Byte-pair encodings put about four letters into a token,
    /// at most three digits, a single space into the word after it, and half a letter of a script
    /// that they hardly saw.
    fn tokens(self, length: u64) -> u64 {
        match self {
            Self::Lower => length.div_ceil(4),
            Self::Upper | Self::Digit | Self::Foreign => length.div_ceil(2),
            Self::Space => (length / 2).min(1 + length / 8),
            Self::Mark => length,
        }
    }
}

struct Scan<'a> {
    rest: &'a [u8],
    key: &'a [u8],
    key_tokens: u64,
    tokens: u64,
    texts: Option<&'a mut Vec<u8>>,
}

impl<'a> Scan<'a> {
    fn run(&mut self) {
        while let Some(byte) = self.rest.first() {
            match byte {
                b'"' => self.string(),
                b'0'..=b'9' => {
                    let length = self.rest.iter().position(|it| !it.is_ascii_digit());
                    let length = length.unwrap_or(self.rest.len());
                    self.tokens += Kind::Digit.tokens(length as u64);
                    self.skip(length);
                }
                _ => self.skip(1),
            }
        }
    }

    fn string(&mut self) {
        self.skip(1);
        let mut length = 0;
        while let Some(byte) = self.rest.get(length) {
            match byte {
                b'"' => break,
                b'\\' => length += 2,
                _ => length += 1,
            }
        }
        let text: &'a [u8] = self.rest.get(..length).unwrap_or(self.rest);
        self.skip(length + 1);
        if self.rest.first() == Some(&b':') {
            self.key = text;
            self.tokens += self.key_tokens;
            return;
        }
        if let Some(texts) = &mut self.texts {
            if !matches!(self.key, b"id" | b"type" | b"role" | b"signature" | b"encrypted_content")
            {
                texts.extend_from_slice(text);
            }
            return;
        }
        self.tokens += match self.key {
            b"data" | b"file_data" => media(text),
            _ if text.starts_with(b"data:") => media(text),
            b"url" | b"image_url" | b"file_id" => MEDIA_TOKENS,
            b"type" | b"role" | b"signature" | b"encrypted_content" => self.key_tokens,
            _ => of_text(text),
        };
    }

    fn skip(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }
}

fn media(text: &[u8]) -> u64 {
    if is_plain(text) {
        return of_text(text);
    }
    let by_size = MEDIA_TOKENS + text.len() as u64 / MEDIA_BYTES_PER_TOKEN;
    of_text(text).min(by_size)
}

/// Whether it has letters that no file in base64 has (RFC 4648): documents may be given as they are. The `+` of base64 is
/// `\u002B` by some writers of JSON, such as that of .NET.
fn is_plain(text: &[u8]) -> bool {
    let head = memchr::memchr(b',', text).filter(|_| text.starts_with(b"data:"));
    let text = head.and_then(|it| text.get(it + 1..)).unwrap_or(text);
    let is_base64 = |it: &u8| it.is_ascii_alphanumeric() || b"+/=-_\\%".contains(it);
    let is_ascii = |code: &[u8]| matches!(code, [b'0', b'0', b'0'..=b'7', ..]);
    let mut escapes = memchr::memmem::find_iter(text, b"\\u");
    !text.iter().all(is_base64) || escapes.any(|at| !text.get(at + 2..).is_some_and(is_ascii))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_digits_and_marks_count_about_as_tokenizers_do() {
        assert_eq!(of_text(b"Hello world"), 1 + 1 + 2);
        assert_eq!(of_text(b"12345"), 3);
        assert_eq!(of_text(b"a, b."), 4);
        assert_eq!(of_text("日本語".as_bytes()), 5);
        assert_eq!(of_text(b""), 0);
    }

    #[test]
    fn braces_are_no_tokens_and_a_picture_is_no_text() {
        let plain = of_json(br#"{"messages":[{"role":"user","content":"Hello world"}]}"#);
        assert_eq!(plain, 1 + 1 + 1 + 1 + 4);
        let picture = "A0b".repeat(100_000);
        let body = format!(r#"{{"image_url":{{"url":"data:image/png;base64,{picture}"}}}}"#);
        let tokens = of_json(body.as_bytes());
        assert!((1600..7000).contains(&tokens), "{tokens}");
    }

    #[test]
    fn a_document_that_is_plain_text_counts_as_text() {
        for words in ["Plain words. ", "日本語", r"\u65e5\u672c", r"12,3.5\n", r#"{\"a\":1}\t"#]
        {
            let words = words.repeat(20_000);
            let body = format!(r#"{{"source":{{"type":"text","data":"{words}"}}}}"#);
            let tokens = of_json(body.as_bytes());
            assert!(tokens >= of_text(words.as_bytes()), "{tokens}");
        }
    }

    #[test]
    fn a_picture_whose_marks_are_escaped_is_no_text() {
        let picture = r"A0b\u002B\u002Fc\/".repeat(30_000);
        let body = format!(r#"{{"image_url":{{"url":"data:image/png;base64,{picture}"}}}}"#);
        let tokens = of_json(body.as_bytes());
        assert!((1600..12_000).contains(&tokens), "{tokens}");
    }

    #[test]
    fn an_escape_or_a_cut_document_ends_nothing_early() {
        assert_eq!(of_json(br#"{"a":"x\"y"#), 1 + of_text(br#"x\"y"#));
        assert_eq!(of_json(br#"{"a":"x\"#), 1 + of_text(br"x\"));
    }
}
