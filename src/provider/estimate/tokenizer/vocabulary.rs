//! A vocabulary of byte pairs, read where it lies in the program: nothing is loaded or built, and only the pages that are
//! looked at are in memory. How it lies there is said in `build.rs`. Pure.

/// The longest piece that is looked at as one: longer ones, which no language has, are cut there, so that none takes
/// long. Each cut makes the count at most one token too large.
const PIECE_BYTES: usize = 1024;
/// The rank of what is no token.
const NONE: u32 = u32::MAX;

/// A vocabulary.
#[derive(Debug)]
pub(super) struct Vocabulary {
    bytes: &'static [u8],
}

impl Vocabulary {
    pub(super) const fn new(bytes: &'static [u8]) -> Self {
        Self { bytes }
    }

    /// Tokens of a piece: what is left when the pair with the lowest rank is joined again and again.
    pub(super) fn tokens(&self, piece: &[u8]) -> u64 {
        piece.chunks(PIECE_BYTES).map(|it| self.joined(it)).sum()
    }

    fn joined(&self, piece: &[u8]) -> u64 {
        if piece.len() < 2 || self.rank(piece) != NONE {
            return u64::from(!piece.is_empty());
        }
        // Where each part begins, and the rank of what it makes with the next one.
        let mut parts: Vec<(usize, u32)> = (0..=piece.len()).map(|it| (it, NONE)).collect();
        for at in 0..piece.len() - 1 {
            let rank = self.pair(piece, &parts, at);
            if let Some(part) = parts.get_mut(at) {
                part.1 = rank;
            }
        }
        while let Some((at, _)) =
            parts.iter().enumerate().min_by_key(|it| it.1.1).filter(|it| it.1.1 != NONE)
        {
            parts.remove(at + 1);
            for at in [Some(at), at.checked_sub(1)].into_iter().flatten() {
                let rank = self.pair(piece, &parts, at);
                if let Some(part) = parts.get_mut(at) {
                    part.1 = rank;
                }
            }
        }
        (parts.len() - 1) as u64
    }

    /// The rank of what a part makes with the next one.
    fn pair(&self, piece: &[u8], parts: &[(usize, u32)], at: usize) -> u32 {
        let both = parts.get(at).zip(parts.get(at + 2));
        both.and_then(|(start, end)| piece.get(start.0..end.0)).map_or(NONE, |it| self.rank(it))
    }

    fn rank(&self, token: &[u8]) -> u32 {
        let slots = self.number(0);
        let mut slot = hash(token) & (slots.wrapping_sub(1));
        for _ in 0..slots {
            let place = self.number(2 + slot as usize);
            if place == 0 {
                return NONE;
            }
            if self.token(place - 1) == Some(token) {
                return place - 1;
            }
            slot = (slot + 1) & (slots - 1);
        }
        NONE
    }

    fn token(&self, place: u32) -> Option<&'static [u8]> {
        let (slots, tokens) = (self.number(0) as usize, self.number(1) as usize);
        let ends = 2 + slots;
        let end = |it: u32| self.number(ends + it as usize) as usize;
        let start = place.checked_sub(1).map_or(0, end);
        let bytes = 4 * (ends + tokens);
        self.bytes.get(bytes + start..bytes + end(place))
    }

    fn number(&self, place: usize) -> u32 {
        let bytes = self.bytes.get(4 * place..4 * place + 4).and_then(|it| it.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    }
}

/// The same as in `build.rs`.
fn hash(token: &[u8]) -> u32 {
    let hash = token.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u32::try_from((hash ^ (hash >> 32)) & 0xffff_ffff).unwrap_or_default()
}
