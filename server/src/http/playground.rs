//! The GraphQL playground: the page at `/playground` and its files below `/playground/`.
//!
//! The files are embedded when the crate is built (`build.rs` says from where), in every profile,
//! so that the binary is complete by itself. The page is public and holds nothing: the API key comes
//! in the address' fragment, which a browser never sends, and the page puts it on its requests.
//!
//! Files below `assets/` have a hash of their content in their names and are cached for good;
//! everything else is checked by `ETag`. A `name.gz` beside a file is that file, compressed.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};

const PAGE: &str = "playground.html";
/// Where the bundle keeps the files whose names carry a hash.
const HASHED: &str = "assets/";

const CACHE_FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const CACHE_CHECKED: HeaderValue = HeaderValue::from_static("no-cache");

/// The playground's routes, for a router of any state. They need no authentication.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/playground", get(async |headers: HeaderMap| serve(PAGE, &headers)))
        .route("/playground/", get(async |headers: HeaderMap| serve(PAGE, &headers)))
        .route(
            "/playground/{*path}",
            get(async |Path(path): Path<String>, headers: HeaderMap| serve(&path, &headers)),
        )
}

/// Whether this binary carries the full playground; otherwise it serves the small query page.
#[must_use]
pub fn is_bundled() -> bool {
    Files::iter().any(|path| path.starts_with(HASHED))
}

#[derive(RustEmbed)]
#[folder = "$BELFRY_CONSOLE_DIR"]
struct Files;

/// Answers with one embedded file, as the request's conditions and encodings allow.
fn serve(path: &str, request: &HeaderMap) -> Response {
    let Some(plain) = Files::get(path) else {
        return (StatusCode::NOT_FOUND, policy(request), "There is no such file.\n")
            .into_response();
    };
    let compressed = Files::get(&format!("{path}.gz"));
    let mut headers = policy(request);
    headers.insert(header::CONTENT_TYPE, content_type(&plain));
    let cache = if path.starts_with(HASHED) { CACHE_FOR_GOOD } else { CACHE_CHECKED };
    headers.insert(header::CACHE_CONTROL, cache);
    if compressed.is_some() {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let file = match compressed {
        Some(compressed) if accepts_gzip(request) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed
        }
        _ => plain,
    };
    let etag = etag(&file);
    let unchanged = matches_etag(request, &etag);
    if let Ok(value) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, value);
    }
    if unchanged {
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_ENCODING);
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.data).into_response()
}

/// What a browser may do with an answer of these routes.
///
/// Scripts come from this server only. Styles may be inline, because GraphiQL sets them at run time.
/// The page may talk to this server and to nobody else, so that a script that should not be there
/// could not carry the key away.
fn policy(request: &HeaderMap) -> HeaderMap {
    let policy = format!(
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'{}; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        sockets(request)
    );
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, value);
    }
    let fixed: [(HeaderName, &str); 2] =
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "no-referrer")];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers
}

/// This server's WebSocket addresses, which `'self'` does not cover in older browsers. Empty when
/// the `Host` has a character that does not belong in a host, which could end the directive.
fn sockets(request: &HeaderMap) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    match request.get(header::HOST).and_then(|host| host.to_str().ok()) {
        Some(host) if !host.is_empty() && host.bytes().all(plain) => {
            format!(" ws://{host} wss://{host}")
        }
        _ => String::new(),
    }
}

fn content_type(file: &EmbeddedFile) -> HeaderValue {
    let mime = file.metadata.mimetype();
    let is_text = mime.starts_with("text/") || mime == "image/svg+xml";
    let charset = if is_text { "; charset=utf-8" } else { "" };
    HeaderValue::try_from(format!("{mime}{charset}"))
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Whether the client takes gzip: named or covered by `*`, and not with weight 0 (RFC 9110, 12.5.3).
fn accepts_gzip(request: &HeaderMap) -> bool {
    let weight_of = |wanted: &str| {
        listed(request, header::ACCEPT_ENCODING).find_map(|item| {
            let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
            let weight = parameters.trim().strip_prefix("q=").unwrap_or("1");
            coding.trim().eq_ignore_ascii_case(wanted).then(|| weight.parse().unwrap_or(0.0))
        })
    };
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|weight: f32| 0.0 < weight)
}

/// A strong tag: the content's hash, so that a file and its compressed form have different ones.
fn etag(file: &EmbeddedFile) -> String {
    let digest = file.metadata.sha256_hash();
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn matches_etag(request: &HeaderMap, etag: &str) -> bool {
    listed(request, header::IF_NONE_MATCH)
        .any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == etag)
}

/// The comma-separated items of a header, over all its lines.
fn listed(request: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = request.get_all(name).into_iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_checked_each_time_and_every_other_host_is_refused() {
        let answer = serve(PAGE, &request(&[("host", "belfry.example:8080")]));
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(field(&answer, "content-type"), "text/html; charset=utf-8");
        assert_eq!(field(&answer, "cache-control"), "no-cache");
        assert_eq!(field(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(field(&answer, "referrer-policy"), "no-referrer");
        assert_eq!(
            field(&answer, "content-security-policy"),
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
             connect-src 'self' ws://belfry.example:8080 wss://belfry.example:8080; \
             object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
    }

    #[test]
    fn host_cannot_add_to_the_policy() {
        for host in ["evil.example; script-src *", "a b", "*", ""] {
            let answer = serve(PAGE, &request(&[("host", host)]));
            assert!(field(&answer, "content-security-policy").contains("connect-src 'self';"));
        }
    }

    #[test]
    fn known_tag_is_answered_without_a_body() {
        let first = serve(PAGE, &request(&[]));
        let etag = field(&first, "etag");
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".into()] {
            let again = serve(PAGE, &request(&[("if-none-match", &known)]));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(field(&again, "etag"), etag);
            assert!(again.headers().contains_key("content-security-policy"));
        }
        let other = serve(PAGE, &request(&[("if-none-match", "\"other\"")]));
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn encodings_are_read_as_the_standard_says() {
        let accepting = ["gzip", "br, gzip", "GZIP;q=0.5", "*", "br;q=1.0, *;q=0.1", "gzip ; q=1"];
        let refusing = ["", "br", "gzip;q=0", "gzip; q=0.0, *", "*;q=0", "xgzip", "gzip;q=x"];
        for value in accepting {
            assert!(accepts_gzip(&request(&[("accept-encoding", value)])), "{value}");
        }
        for value in refusing {
            assert!(!accepts_gzip(&request(&[("accept-encoding", value)])), "{value}");
        }
        assert!(!accepts_gzip(&request(&[])));
    }

    #[test]
    fn every_file_is_served_and_its_compressed_form_differs() {
        for path in Files::iter().filter(|path| !path.ends_with(".gz")) {
            let plain = serve(&path, &request(&[]));
            assert_eq!(plain.status(), StatusCode::OK, "{path}");
            assert_ne!(field(&plain, "content-type"), "application/octet-stream", "{path}");
            if Files::get(&format!("{path}.gz")).is_none() {
                continue;
            }
            let compressed = serve(&path, &request(&[("accept-encoding", "gzip")]));
            assert_eq!(field(&compressed, "content-encoding"), "gzip", "{path}");
            assert_eq!(field(&compressed, "vary"), "accept-encoding", "{path}");
            assert_eq!(field(&compressed, "content-type"), field(&plain, "content-type"));
            assert_ne!(field(&compressed, "etag"), field(&plain, "etag"), "{path}");
        }
    }

    #[test]
    fn files_with_a_hash_in_their_names_are_cached_for_good() {
        for path in Files::iter() {
            let answer = serve(&path, &request(&[]));
            let for_good = field(&answer, "cache-control").contains("immutable");
            assert_eq!(for_good, path.starts_with(HASHED), "{path}");
        }
    }

    #[test]
    fn unknown_file_is_not_found() {
        for path in ["assets/none.js", "../Cargo.toml", "", "assets", "/etc/passwd"] {
            assert_eq!(serve(path, &request(&[])).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    fn request(fields: &[(&'static str, &str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        fields.collect()
    }

    fn field(answer: &Response, name: &str) -> String {
        answer
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }
}
