//! `/runs/{run}/artifacts/file`: one file of an artifact as text or as a picture, and else only as a download.
//! Nothing of it is ever run: text is escaped, and pictures are of four kinds, known by their first bytes.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::address::encode;
use super::artifacts::download;
use crate::blobs::Member;
use crate::desk::artifacts::{Content, Form, RunArtifacts};
use crate::http::{App, Path, Problem, ProblemKind, Query, Visitor};
use crate::ui::above::AboveRun;
use crate::ui::shell::{Section, Shell, Visit, page};
use crate::ui::words::Words;

/// Bytes of text that are shown.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The largest picture that is shown.
const IMAGE_BYTES_MAX: usize = 8 << 20;
/// A picture opened by itself can do nothing.
const IMAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// Which file.
#[derive(Debug, Clone, serde::Deserialize)]
pub(super) struct FileQuery {
    stage: String,
    file: String,
}

#[derive(Template)]
#[template(path = "stages/file.html")]
struct FilePage {
    shell: Shell,
    words: Words,
    above: AboveRun,
    run: String,
    stage: String,
    file: String,
    size_bytes: u64,
    shown: Shown,
}

/// What can be seen of it.
enum Shown {
    Text { text: String, is_cut: bool },
    Image(String),
    Nothing(&'static str),
}

pub(super) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(run): Path<String>,
    Query(query): Query<FileQuery>,
) -> Result<Response, Problem> {
    let artifacts = RunArtifacts::of_stage(&app, &visit.visitor, (&run, &query.stage)).await?;
    let mut member = open(&app, &artifacts, &query.file).await?;
    let size_bytes = member.size_bytes;
    let bytes = read(&mut member, TEXT_BYTES_MAX).await?;
    let run = format!("/runs/{}", encode(&run));
    page(&FilePage {
        shell: visit.shell(Section::Runs, query.file.clone()),
        words: visit.words(),
        shown: shown(&bytes, size_bytes, &run, &query),
        above: AboveRun::of(&artifacts.loaded.row),
        run,
        stage: query.stage,
        file: query.file,
        size_bytes,
    })
}

/// The picture itself.
pub(super) async fn image(
    State(app): State<App>,
    visitor: Visitor,
    Path(run): Path<String>,
    Query(query): Query<FileQuery>,
) -> Result<Response, Problem> {
    let artifacts = RunArtifacts::of_stage(&app, &visitor, (&run, &query.stage)).await?;
    let mut member = open(&app, &artifacts, &query.file).await?;
    let bytes = read(&mut member, IMAGE_BYTES_MAX).await?;
    let is_whole = bytes.len() as u64 == member.size_bytes;
    let Some(kind) = image_kind(&bytes).filter(|_| is_whole) else {
        let title = "this is no picture that is shown";
        return Err(Problem::new(ProblemKind::Refused, title).with_help("Download it."));
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, IMAGE_POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

async fn open(app: &App, artifacts: &RunArtifacts, file: &str) -> Result<Member, Problem> {
    match artifacts.open(app, file, Form::File).await? {
        Content::File(member, _) => Ok(member),
        Content::Archive(_) => Err(Problem::not_found("this file")),
    }
}

/// At most so many of the first bytes; what is not taken is not read.
async fn read(member: &mut Member, bytes_max: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max {
        let Some(piece) = member.pieces.recv().await else { break };
        bytes.extend_from_slice(&piece.map_err(|it| Problem::internal(&it))?);
    }
    bytes.truncate(bytes_max);
    Ok(bytes)
}

fn shown(bytes: &[u8], size_bytes: u64, run: &str, query: &FileQuery) -> Shown {
    if image_kind(bytes).is_some() {
        if size_bytes > IMAGE_BYTES_MAX as u64 {
            return Shown::Nothing("This picture is too large to be shown here.");
        }
        let (stage, file) = (encode(&query.stage), encode(&query.file));
        return Shown::Image(format!("{run}/artifacts/image?stage={stage}&file={file}"));
    }
    match text(bytes) {
        Some(text) => Shown::Text { text, is_cut: size_bytes > bytes.len() as u64 },
        None => Shown::Nothing("This is neither text nor a picture that is shown here."),
    }
}

/// Text in UTF-8; the last letter may be cut.
fn text(bytes: &[u8]) -> Option<String> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    (!valid.contains('\0')).then(|| valid.to_owned())
}

/// What the first bytes say. Formats that can hold scripts are not among them.
fn image_kind(bytes: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    match bytes {
        _ if begins(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        _ if begins(b"\xff\xd8\xff") => Some("image/jpeg"),
        _ if begins(b"GIF87a") || begins(b"GIF89a") => Some("image/gif"),
        _ if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") => Some("image/webp"),
        _ => None,
    }
}

impl FilePage {
    fn download(&self) -> String {
        download(&self.run, (&self.stage, &self.file), "file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_without_scripts_are_pictures() {
        assert_eq!(image_kind(b"\x89PNG\r\n\x1a\n..."), Some("image/png"));
        assert_eq!(image_kind(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(image_kind(b"GIF89a..."), Some("image/gif"));
        assert_eq!(image_kind(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        for other in [&b"<svg xmlns='x'>"[..], b"<html>", b"%PDF-1.7", b"", b"RIFF\0\0\0\0WAVE"] {
            assert_eq!(image_kind(other), None);
        }
    }

    #[test]
    fn text_is_what_can_be_read_as_such() {
        assert_eq!(text(b"a\xc3").as_deref(), Some("a"));
        assert_eq!(text("ä<b>".as_bytes()).as_deref(), Some("ä<b>"));
        assert_eq!(text(b"a\xffb"), None);
        assert_eq!(text(b"a\0b"), None);
    }
}
