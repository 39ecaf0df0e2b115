//! `GET /api/v1/runs/{run}/artifacts/{stage}/{path}`: one file of an artifact, or the whole of it.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::io::ReaderStream;

use super::body::ArtifactFilesBody;
use crate::blobs::Member;
use crate::desk::artifacts::{Content, Form, RunArtifacts, no_longer_kept};
use crate::http::{App, Json, Path, Problem, Query, Visitor};
use crate::model::Digest;
use crate::store::artifacts::ArtifactRow;

/// What may stand in a name as it is (RFC 8187, section 3.2.1).
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// In which form.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FormatQuery {
    /// `file` for one file, `tar` for all that was declared under the path, `list` for the names in that; when
    /// it is left out a file, else the archive.
    #[param(pattern = "^(file|tar|list)$")]
    format: Option<String>,
}

/// Downloads one file of an artifact, or with its declared path the archive of it.
#[utoipa::path(
    get, path = "/runs/{run}/artifacts/{stage}/{*path}", tag = "artifacts",
    extensions(("x-access" = json!("viewer"))),
    params(
        ("run" = String, Path, description = "Its id, its number, or the beginning of its id"),
        ("stage" = String, Path, description = "Key or name of the stage"),
        ("path" = String, Path, description = "A file of an artifact, or a declared path or glob"),
        FormatQuery,
    ),
    responses((status = 200, content(
        (String = "application/octet-stream"), (String = "application/x-tar"), (ArtifactFilesBody = "application/json"),
    ))),
)]
pub(super) async fn get_artifact(
    State(app): State<App>,
    visitor: Visitor,
    Path((run, stage, path)): Path<(String, String, String)>,
    Query(query): Query<FormatQuery>,
) -> Result<Response, Problem> {
    let artifacts = RunArtifacts::of_stage(&app, &visitor, (&run, &stage)).await?;
    let form = match query.format.as_deref() {
        None => Form::Either,
        Some("file") => Form::File,
        Some("tar") => Form::Archive,
        Some("list") => {
            let (_, listing) = artifacts.look_into(&app, &path).await?;
            return Ok(Json(ArtifactFilesBody::from(listing)).into_response());
        }
        Some(_) => return Err(Problem::bad_request("`format` is `file`, `tar` or `list`")),
    };
    match artifacts.open(&app, &path, form).await? {
        Content::Archive(row) => archive(&app, &row).await,
        Content::File(member, digest) => Ok(file(member, &path, &digest)),
    }
}

fn file(member: Member, path: &str, digest: &Digest) -> Response {
    let size = member.size_bytes;
    let pieces = stream::unfold(member.pieces, |mut pieces| async {
        pieces.recv().await.map(|it| (it, pieces))
    });
    let name = path.rsplit('/').next().unwrap_or(path);
    let headers = headers(name, "application/octet-stream", digest);
    let mut response = (headers, Body::from_stream(pieces.fuse())).into_response();
    response.headers_mut().insert(header::CONTENT_LENGTH, size.into());
    response
}

async fn archive(app: &App, row: &ArtifactRow) -> Result<Response, Problem> {
    let tar = app.archives.tar(&row.digest).await.map_err(no_longer_kept)?;
    let name = format!("{}-{}.tar", row.stage_key, row.path);
    let headers = headers(&name, "application/x-tar", &row.digest);
    Ok((headers, Body::from_stream(ReaderStream::new(tar))).into_response())
}

/// A download: nothing that a browser would show, under a name that is only a name. An address stands for one
/// content of one archive, so the digest of that tells contents apart.
fn headers(name: &str, kind: &'static str, digest: &Digest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::try_from(disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    if let Ok(value) = HeaderValue::try_from(format!("\"{}\"", digest.hex())) {
        headers.insert(header::ETAG, value);
    }
    headers
}

/// RFC 6266, with the whole name in the form of RFC 8187.
fn disposition(name: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
    let plain: String = name.chars().map(|it| if is_plain(it) { it } else { '_' }).collect();
    let plain = plain.trim_start_matches('.');
    let encoded = utf8_percent_encode(name, NAME);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_a_name() {
        let shown = disposition("..\"; x=\r\nü/a b.txt");
        let wanted = "attachment; filename=\"___x_____a_b.txt\"; \
            filename*=UTF-8''..%22%3B%20x%3D%0D%0A%C3%BC%2Fa%20b.txt";
        assert_eq!(shown, wanted);
    }
}
