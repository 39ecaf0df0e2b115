//! What pages load: embedded, and named by its digest, so that browsers keep it for a year.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};

use crate::http::{App, Problem};

const DIGEST_CHARS: usize = 12;
const STYLE: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const ASSETS: &[Asset] = &[
    Asset {
        name: "trunkline.css",
        kind: STYLE,
        bytes: include_bytes!("../../../web/assets/trunkline.css"),
    },
    Asset {
        name: "trunkline.js",
        kind: JAVASCRIPT,
        bytes: include_bytes!("../../../web/assets/trunkline.js"),
    },
    Asset { name: "log.css", kind: STYLE, bytes: include_bytes!("../../../web/assets/log.css") },
    Asset {
        name: "log-colours.css",
        kind: STYLE,
        bytes: include_bytes!("../../../web/assets/log-colours.css"),
    },
    Asset { name: "log.js", kind: JAVASCRIPT, bytes: include_bytes!("../../../web/assets/log.js") },
    Asset {
        name: "log-list.js",
        kind: JAVASCRIPT,
        bytes: include_bytes!("../../../web/assets/log-list.js"),
    },
    Asset {
        name: "log-pieces.js",
        kind: JAVASCRIPT,
        bytes: include_bytes!("../../../web/assets/log-pieces.js"),
    },
    Asset {
        name: "log-sizes.js",
        kind: JAVASCRIPT,
        bytes: include_bytes!("../../../web/assets/log-sizes.js"),
    },
    Asset {
        name: "log-windows.js",
        kind: JAVASCRIPT,
        bytes: include_bytes!("../../../web/assets/log-windows.js"),
    },
    Asset {
        name: "log-search.js",
        kind: JAVASCRIPT,
        bytes: include_bytes!("../../../web/assets/log-search.js"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        bytes: include_bytes!("../../../web/assets/icon.svg"),
    },
];

/// One digest over all of them.
static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for asset in ASSETS {
        digest.update(asset.bytes);
    }
    let mut text = hex::encode(digest.finalize());
    text.truncate(DIGEST_CHARS);
    text
});

pub(in crate::ui) fn routes() -> Router<App> {
    Router::new().route("/assets/{digest}/{name}", get(show)).route("/favicon.ico", get(icon))
}

/// Where a page finds one.
pub(in crate::ui) fn path(name: &str) -> String {
    format!("/assets/{}/{name}", *DIGEST)
}

/// The digest of another version is answered with what there is now, and not kept.
async fn show(Path((digest, name)): Path<(String, String)>) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|it| it.name == name);
    let asset = asset.ok_or_else(|| Problem::not_found("this file"))?;
    let is_current = digest == *DIGEST;
    let keep = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, keep)];
    Ok((headers, asset.bytes).into_response())
}

async fn icon() -> Response {
    (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, path("icon.svg"))]).into_response()
}
