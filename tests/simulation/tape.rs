//! Tar archives of a few small files.

use std::io::{Cursor, Read};

use tokio::io::AsyncReadExt;
use trunkline::executor::TarStream;

use crate::world::Files;

pub(crate) fn write(files: &[(String, Vec<u8>)]) -> TarStream {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    Box::pin(Cursor::new(tar.into_inner().unwrap()))
}

pub(crate) async fn read(mut tar: TarStream) -> std::io::Result<Files> {
    let mut bytes = Vec::new();
    tar.read_to_end(&mut bytes).await?;
    let mut files = Files::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(path, content);
    }
    Ok(files)
}
