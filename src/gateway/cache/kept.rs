//! One answer that is kept, byte for byte, and its form in Redis: a line of JSON, and the bytes. Pure.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes};
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// What an entry weighs besides its bytes.
const OVERHEAD: usize = 256;
/// Of each piece of a stream.
const PIECE_OVERHEAD: usize = 48;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Until when it holds.
    pub until: Timestamp,
    /// Its content type.
    pub content_type: String,
    /// The model that gave it.
    pub model: Option<String>,
    /// Tokens of its prompt, for a part of a batch.
    pub tokens: u64,
    /// What came.
    pub content: Content,
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// All at once.
    Whole(Bytes),
    /// The pieces of a stream.
    Stream(Vec<Bytes>),
}

#[derive(Serialize, Deserialize)]
struct Head<'a> {
    until: i64,
    content_type: Cow<'a, str>,
    model: Option<Cow<'a, str>>,
    tokens: u64,
    /// Lengths of the pieces of a stream.
    pieces: Option<Vec<usize>>,
}

impl Kept {
    /// A whole answer in JSON; until when it holds is said by whoever keeps it.
    #[must_use]
    pub fn json(body: Bytes) -> Self {
        Self {
            until: Timestamp(0),
            content_type: "application/json".to_owned(),
            model: None,
            tokens: 0,
            content: Content::Whole(body),
        }
    }

    /// What it takes in memory, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let content = match &self.content {
            Content::Whole(body) => body.len(),
            Content::Stream(pieces) => pieces.iter().map(|it| it.len() + PIECE_OVERHEAD).sum(),
        };
        OVERHEAD + content
    }

    /// As Redis keeps it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let pieces = match &self.content {
            Content::Whole(_) => None,
            Content::Stream(pieces) => Some(pieces.iter().map(Bytes::len).collect()),
        };
        let head = Head {
            until: self.until.0,
            content_type: self.content_type.as_str().into(),
            model: self.model.as_deref().map(Cow::Borrowed),
            tokens: self.tokens,
            pieces,
        };
        let mut out = serde_json::to_vec(&head).unwrap_or_default();
        out.push(b'\n');
        match &self.content {
            Content::Whole(body) => out.put_slice(body),
            Content::Stream(pieces) => {
                for piece in pieces {
                    out.put_slice(piece);
                }
            }
        }
        out
    }

    /// From Redis; `None` when it is none of ours, or not whole.
    #[must_use]
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let line = bytes.iter().position(|it| *it == b'\n')?;
        let head: Head<'_> = serde_json::from_slice(bytes.get(..line)?).ok()?;
        let mut rest = bytes.slice(line + 1..);
        let content = match &head.pieces {
            None => Content::Whole(rest),
            Some(lengths) => {
                let mut pieces = Vec::with_capacity(lengths.len().min(1 << 16));
                for length in lengths {
                    if *length > rest.len() {
                        return None;
                    }
                    pieces.push(rest.split_to(*length));
                }
                Content::Stream(pieces)
            }
        };
        Some(Self {
            until: Timestamp(head.until),
            content_type: head.content_type.into_owned(),
            model: head.model.map(Cow::into_owned),
            tokens: head.tokens,
            content,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_redis_gives_back_is_what_it_was_given(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            is_stream: bool,
            until: i64,
            model in proptest::option::of("[a-z\"\n]{0,8}"),
            tokens: u64,
        ) {
            let pieces: Vec<_> = pieces.into_iter().map(Bytes::from).collect();
            let content = if is_stream {
                Content::Stream(pieces)
            } else {
                Content::Whole(Bytes::from(pieces.concat()))
            };
            let content_type = "text/event-stream".to_owned();
            let kept = Kept { until: Timestamp(until), content_type, model, tokens, content };
            prop_assert_eq!(Kept::decode(&Bytes::from(kept.encode())), Some(kept));
        }

        #[test]
        fn nothing_that_redis_may_give_makes_trouble(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            drop(Kept::decode(&Bytes::from(bytes)));
        }
    }

    #[test]
    fn half_an_entry_is_none() {
        let content = Content::Stream(vec![Bytes::from_static(b"abc"), Bytes::from_static(b"de")]);
        let kept = Kept { content, ..Kept::json(Bytes::new()) };
        let whole = kept.encode();
        assert_eq!(Kept::decode(&Bytes::from(whole[..whole.len() - 1].to_vec())), None);
    }
}
