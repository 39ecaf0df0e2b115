//! Between the blocking readers and writers of the tar crate and the asynchronous streams around them.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;

use crate::executor::TarStream;

const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks on their way between the two sides.
const CHUNKS: usize = 4;

/// Reads an asynchronous stream in a thread that may block.
pub(in crate::executor) struct BlockingReader {
    handle: Handle,
    stream: TarStream,
    chunk: BytesMut,
}

impl BlockingReader {
    pub(in crate::executor) fn new(handle: Handle, stream: TarStream) -> Self {
        Self { handle, stream, chunk: BytesMut::new() }
    }
}

impl Read for BlockingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() {
            self.chunk.reserve(CHUNK_BYTES);
            self.handle.block_on(self.stream.read_buf(&mut self.chunk))?;
        }
        let length = self.chunk.len().min(buffer.len());
        let part = self.chunk.split_to(length);
        buffer.iter_mut().zip(part.iter()).for_each(|(to, from)| *to = *from);
        Ok(length)
    }
}

/// Writes to an asynchronous stream from a thread that may block.
pub(in crate::executor) struct ChunkWriter {
    chunks: mpsc::Sender<io::Result<Bytes>>,
    chunk: BytesMut,
}

impl ChunkWriter {
    fn send(&mut self) -> io::Result<()> {
        let chunk = self.chunk.split().freeze();
        if chunk.is_empty() {
            return Ok(());
        }
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= CHUNK_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// Runs `work` in a thread of its own; what it writes is the stream. An error of it is the stream's end.
pub(in crate::executor) fn start(
    work: impl FnOnce(&mut ChunkWriter, Handle) -> io::Result<()> + Send + 'static,
) -> TarStream {
    let (chunks, mut received) = mpsc::channel(CHUNKS);
    let handle = Handle::current();
    // The thread ends by itself: with its work, or when the stream is dropped and a write fails.
    drop(tokio::task::spawn_blocking(move || {
        let mut writer = ChunkWriter { chunks, chunk: BytesMut::new() };
        let done = work(&mut writer, handle).and_then(|()| writer.flush());
        if let Err(error) = done {
            drop(writer.chunks.blocking_send(Err(error)));
        }
    }));
    let stream = stream::poll_fn(move |context| received.poll_recv(context));
    Box::pin(StreamReader::new(stream.fuse()))
}

/// The stream, or `None` if it ends before its first byte.
pub(in crate::executor) async fn unless_empty(
    mut stream: TarStream,
) -> io::Result<Option<TarStream>> {
    let mut first = BytesMut::with_capacity(CHUNK_BYTES);
    if stream.read_buf(&mut first).await? == 0 {
        return Ok(None);
    }
    Ok(Some(Box::pin(tokio::io::AsyncReadExt::chain(io::Cursor::new(first), stream))))
}
