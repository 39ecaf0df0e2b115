//! A reader that does not end well unless the bytes are what their digest says.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, ReadBuf};

use crate::blobs::BlobError;
use crate::model::Digest;

pub(super) struct Verified<R> {
    reader: R,
    hash: Sha256,
    digest: Digest,
}

impl<R> Verified<R> {
    pub(super) fn new(reader: R, digest: Digest) -> Self {
        Self { reader, hash: Sha256::new(), digest }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Verified<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            self.hash.update(new);
            return Poll::Ready(Ok(()));
        }
        if Digest::from_hash(&self.hash.clone().finalize()) == self.digest {
            return Poll::Ready(Ok(()));
        }
        let error = BlobError::Corrupt(self.digest.to_string());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)))
    }
}
