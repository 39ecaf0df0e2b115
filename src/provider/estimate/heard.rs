//! The texts of a stream, as far as there is room, for who may have to count them in the end. Pure.

use super::tokenizer::Tokenizer;

/// The most that is kept of one stream; what comes beyond is counted by the rule at once.
const ROOM: usize = 64 << 10;

/// What was heard of a stream.
#[derive(Debug, Default)]
pub struct Heard {
    /// Texts as they stand in JSON, escaped.
    texts: Vec<u8>,
    /// Tokens of what there was no room for, by the rule.
    beyond: u64,
}

impl Heard {
    /// Takes a piece of an answer in, with its tokens by the rule.
    pub fn take(&mut self, piece: &[u8], by_rule: u64) {
        if self.beyond > 0 || self.texts.len() + piece.len() > ROOM {
            self.beyond = self.beyond.saturating_add(by_rule);
        } else {
            super::texts(piece, &mut self.texts);
        }
    }

    /// Whether all of it is at hand.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.beyond == 0
    }

    /// Its tokens.
    #[must_use]
    pub fn tokens(&self, tokenizer: Tokenizer) -> u64 {
        let quoted = [b"\"", &self.texts[..], b"\""].concat();
        let text = serde_json::from_slice::<String>(&quoted);
        let text = text.unwrap_or_else(|_| String::from_utf8_lossy(&self.texts).into_owned());
        tokenizer.count(&text).saturating_add(self.beyond)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(pieces: &[&str]) -> u64 {
        let mut heard = Heard::default();
        for piece in pieces {
            heard.take(piece.as_bytes(), 7);
        }
        heard.tokens(Tokenizer::O200k)
    }

    #[test]
    fn a_text_in_pieces_counts_as_the_whole_text() {
        let whole = Tokenizer::O200k.count("tokenizers\n\"tokenize\" 😀");
        let pieces = [
            r#"{"content":"token","role":"assistant"}"#,
            r#"{"content":"izers\n\"tok"}"#,
            r#"{"content":"enize\" \ud83d"}"#,
            r#"{"content":"\ude00"}"#,
        ];
        assert_eq!(tokens(&pieces), whole);
        assert_eq!(whole, 8);
    }

    #[test]
    fn arguments_of_tools_are_texts_and_their_ids_are_not() {
        let call = r#"{"tool_calls":[{"index":0,"id":"call_5J2Kx1","type":"function","function":{"name":"get_weather","arguments":""}}]}"#;
        let more = r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]}"#;
        let expected = Tokenizer::O200k.count("get_weather{\"city\":");
        assert_eq!(tokens(&[call, more]), expected);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_by_the_rule() {
        let long = format!("{{\"content\":\"{}\"}}", "word ".repeat(20_000));
        let mut heard = Heard::default();
        heard.take(br#"{"content":"hi"}"#, 1);
        heard.take(long.as_bytes(), 20_000);
        heard.take(br#"{"content":"hi"}"#, 1);
        assert_eq!((heard.tokens(Tokenizer::O200k), heard.is_whole()), (1 + 20_001, false));
    }
}
