//! `belfry receive`: a receiver to try webhooks with. Prints each request and whether its signature
//! holds.
//!
//! For the tour and for whoever writes a receiver of their own. Answers 204, or the status that was
//! asked for, so that retries can be watched. What is printed comes from outside: control
//! characters are escaped, so that a request cannot write on the terminal.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use clap::Args;
use entity::Instant;
use tokio::net::TcpListener;

use crate::clock::{Clock, SystemClock};
use crate::domain::signature::{Signed, SigningKey};
use crate::limits::BODY_BYTES_MAX;

/// Bytes of a body that are printed; more would scroll away what matters.
const PRINTED_BYTES_MAX: usize = 16 * 1_024;

/// What `belfry receive` may be told.
#[derive(Args, Clone)]
pub struct ReceiveArgs {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// The project's signing secret, whsec_…, as `belfry key signing` prints it
    #[arg(long, env = "BELFRY_SIGNING_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub secret: Option<String>,

    /// The status to answer with
    #[arg(long, default_value = "204", value_name = "STATUS",
          value_parser = clap::value_parser!(u16).range(200..=599))]
    pub status: u16,
}

/// Never shows the secret.
impl fmt::Debug for ReceiveArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveArgs")
            .field("listen", &self.listen)
            .field("secret", &self.secret.as_ref().map(|_| "REDACTED"))
            .field("status", &self.status)
            .finish()
    }
}

/// Receives until ctrl-c.
///
/// # Errors
/// A sentence, when the secret cannot be read or the address cannot be listened on.
pub async fn receive(args: ReceiveArgs) -> Result<(), String> {
    let key = args.secret.as_deref().map(SigningKey::parse).transpose();
    let key = key.map_err(|message| format!("--secret: {message}"))?;
    let status = StatusCode::from_u16(args.status).map_err(|error| error.to_string())?;
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.map_err(|error| format!("{}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    print(&format!("receiving on http://{address}/, answering {status}; ctrl-c ends\n"));
    let receiver = Receiver { key, status, clock: Arc::new(SystemClock::new()), print };
    tokio::select! {
        served = serve(listener, receiver) => served,
        pressed = tokio::signal::ctrl_c() => pressed.map_err(|error| error.to_string()),
    }
}

/// What the handler needs.
#[derive(Clone)]
struct Receiver {
    key: Option<SigningKey>,
    status: StatusCode,
    clock: Arc<dyn Clock>,
    print: fn(&str),
}

async fn serve(listener: TcpListener, receiver: Receiver) -> Result<(), String> {
    let router = Router::new().fallback(take).with_state(receiver);
    axum::serve(listener, router).await.map_err(|error| error.to_string())
}

async fn take(State(receiver): State<Receiver>, request: Request) -> StatusCode {
    let now = receiver.clock.now();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        let head = head(now, &parts, status);
        (receiver.print)(&format!("{head}  body: over {BODY_BYTES_MAX} bytes, or broken off\n\n"));
        return status;
    };
    let verdict = verdict(receiver.key.as_ref(), &parts.headers, &body, now);
    (receiver.print)(&block(&head(now, &parts, receiver.status), &parts.headers, &verdict, &body));
    receiver.status
}

fn head(now: Instant, parts: &Parts, status: StatusCode) -> String {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{now}  {} {}  answered {}\n", parts.method, escaped(path), status.as_u16())
}

/// One request as it is printed; ends in an empty line.
fn block(head: &str, headers: &HeaderMap, verdict: &str, body: &[u8]) -> String {
    let mut text = head.to_owned();
    if let Some(id) = header(headers, "webhook-id") {
        let _ = writeln!(text, "  webhook-id: {}", escaped(id));
    }
    let _ = writeln!(text, "  signature: {verdict}");
    let shown = String::from_utf8_lossy(&body[..body.len().min(PRINTED_BYTES_MAX)]);
    let _ = writeln!(text, "  body: {}", escaped(&shown));
    if PRINTED_BYTES_MAX < body.len() {
        let _ = writeln!(text, "  … and {} more bytes", body.len() - PRINTED_BYTES_MAX);
    }
    text.push('\n');
    text
}

/// Whether the signature holds, in words.
fn verdict(key: Option<&SigningKey>, headers: &HeaderMap, body: &[u8], now: Instant) -> String {
    let Some(signature) = header(headers, "webhook-signature") else { return "none".to_owned() };
    let Some(key) = key else { return "unknown; --secret tells how to verify it".to_owned() };
    let id = header(headers, "webhook-id").unwrap_or_default();
    let timestamp = header(headers, "webhook-timestamp").unwrap_or_default();
    match key.verify(&Signed { id, timestamp, signature }, body, now) {
        Ok(()) => "holds".to_owned(),
        Err(why) => format!("does not hold: {why}"),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `text` without characters that a terminal would act on; line ends and tabs stay.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn print(text: &str) {
    // Who closed the pipe does not want to read it.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use clap::Parser as _;

    use super::*;
    use crate::clock::ManualClock;

    const BODY: &str = "{\"id\":\"1\"}";

    fn key() -> SigningKey {
        SigningKey::derive(&[7; 32], "prj", 0)
    }

    fn now() -> Instant {
        Instant::from_millis(1_800_000_000_000)
    }

    fn signed(by: &SigningKey) -> HeaderMap {
        let signature = by.sign("frg_1_post", 1_800_000_000, BODY.as_bytes());
        [
            ("webhook-id", "frg_1_post"),
            ("webhook-timestamp", "1800000000"),
            ("webhook-signature", &signature),
        ]
        .into_iter()
        .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
        .collect()
    }

    #[test]
    fn the_verdict_is_one_of_four() {
        let verdict =
            |key: Option<&SigningKey>, headers| verdict(key, &headers, BODY.as_bytes(), now());
        assert_eq!(verdict(Some(&key()), signed(&key())), "holds");
        let other = SigningKey::derive(&[8; 32], "prj", 0);
        let no_match = "does not hold: no signature matches";
        assert_eq!(verdict(Some(&key()), signed(&other)), no_match);
        assert_eq!(verdict(Some(&key()), HeaderMap::new()), "none");
        assert_eq!(verdict(None, signed(&key())), "unknown; --secret tells how to verify it");
    }

    #[test]
    fn a_block_names_id_and_verdict_and_cannot_write_on_the_terminal() {
        let text = block("HEAD\n", &signed(&key()), "holds", "{\n\t\"a\": \"\x1b[2J\"}".as_bytes());
        assert_eq!(
            text,
            "HEAD\n  webhook-id: frg_1_post\n  signature: holds\n  body: {\n\t\"a\": \
             \"\\u{1b}[2J\"}\n\n"
        );
    }

    #[test]
    fn a_body_is_printed_up_to_its_limit() {
        let printed = |bytes: usize| block("", &HeaderMap::new(), "none", &vec![b'x'; bytes]);
        assert!(!printed(PRINTED_BYTES_MAX).contains("more bytes"));
        assert!(printed(PRINTED_BYTES_MAX + 1).contains("… and 1 more bytes"));
    }

    static PRINTED: Mutex<String> = Mutex::new(String::new());

    fn keep(text: &str) {
        PRINTED.lock().expect("no panic while held").push_str(text);
    }

    #[tokio::test]
    async fn requests_are_answered_and_printed_in_one_block_each() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook?a=b", listener.local_addr().expect("its address"));
        let clock = Arc::new(ManualClock::new(now()));
        let receiver =
            Receiver { key: Some(key()), status: StatusCode::IM_A_TEAPOT, clock, print: keep };
        tokio::spawn(serve(listener, receiver));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let good = client.post(&url).headers(signed(&key())).body(BODY).send().await;
        assert_eq!(good.expect("an answer").status(), 418);
        let large = vec![b'x'; BODY_BYTES_MAX + 1];
        let large = client.put(&url).body(large).send().await;
        assert_eq!(large.expect("an answer").status(), 413);
        let most = client.put(&url).body(vec![b'x'; BODY_BYTES_MAX]).send().await;
        assert_eq!(most.expect("an answer").status(), 418);
        let printed = PRINTED.lock().expect("no panic while held").clone();
        let blocks: Vec<&str> = printed.split_terminator("\n\n").collect();
        assert_eq!(
            blocks[..2],
            [
                "2027-01-15T08:00:00Z  POST /hook?a=b  answered 418\n  webhook-id: frg_1_post\n  \
                 signature: holds\n  body: {\"id\":\"1\"}",
                "2027-01-15T08:00:00Z  PUT /hook?a=b  answered 413\n  body: over 1048576 bytes, \
                 or broken off",
            ]
        );
        assert_eq!(blocks.len(), 3);
    }

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: ReceiveArgs,
    }

    #[test]
    fn the_secret_is_not_printed_and_the_status_is_bounded() {
        let secret = key().secret();
        let parse = |arg: &str| Command::try_parse_from(["receive", "--secret", &secret, arg]);
        let args = parse("--status=503").map(|command| command.args).expect("arguments");
        assert_eq!((args.listen.port(), args.status), (9_000, 503));
        assert!(!format!("{args:?}").contains(&secret));
        assert!(parse("--status=200").is_ok() && parse("--status=599").is_ok());
        assert!(parse("--status=199").is_err() && parse("--status=600").is_err());
    }

    #[tokio::test]
    async fn a_secret_that_is_none_is_refused_without_repeating_it() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let secret = Some("whsec_oops".to_owned());
        let refused = receive(ReceiveArgs { listen, secret, status: 204 }).await;
        let message = refused.expect_err("no secret");
        assert_eq!(message, "--secret: expected whsec_ and the base64 of 24 to 64 bytes");
    }
}
