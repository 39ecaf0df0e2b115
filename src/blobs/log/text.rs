//! Looking for line feeds in a file, block by block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK_BYTES: usize = 64 * 1024;

pub(super) fn count_line_feeds(bytes: &[u8]) -> u64 {
    // Without a branch, so that the compiler makes it fast.
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

/// Gives the bytes from `from` up to `to`, or the end of the file, to `visit`, until it has an
/// answer.
pub(super) fn scan<T>(
    file: &File,
    from: u64,
    to: u64,
    mut visit: impl FnMut(u64, &[u8]) -> Option<T>,
) -> io::Result<Option<T>> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut offset = from;
    while offset < to {
        let wanted = usize::try_from(to - offset).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        let read = file.read_at(block.get_mut(..wanted).unwrap_or_default(), offset)?;
        if read == 0 {
            break;
        }
        if let Some(answer) = visit(offset, block.get(..read).unwrap_or_default()) {
            return Ok(Some(answer));
        }
        offset += read as u64;
    }
    Ok(None)
}

/// Offset behind the `nth` line feed (counted from 1) at or behind `from`.
pub(super) fn find_line_feed(file: &File, from: u64, nth: u64) -> io::Result<Option<u64>> {
    let mut missing = nth;
    scan(file, from, u64::MAX, |offset, block| {
        let found = count_line_feeds(block);
        if found < missing {
            missing -= found;
            return None;
        }
        let feeds = (1..).zip(block).filter(|(_, byte)| **byte == b'\n').map(|(end, _)| end);
        let mut feeds = feeds.skip(usize::try_from(missing - 1).unwrap_or(usize::MAX));
        feeds.next().map(|end: u64| offset + end)
    })
}
