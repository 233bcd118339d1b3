//! Clients that send exactly what a test says and hide nothing of what comes back. Used by
//! `http_graphql.rs`, `stream.rs`, `websocket.rs`, `guard.rs` and others.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Response};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::TestApp;

/// What no test should wait for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a server answered over HTTP.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, one header a line, in lower case.
    head: String,
    /// The value of `Link` as it came: cursors in it are not to be folded.
    link: Option<String>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The value of a header, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
    }

    /// The value of `Link`.
    pub fn link(&self) -> Option<&str> {
        self.link.as_deref()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }

    /// `extensions.code` of the first error.
    pub fn code(&self) -> String {
        self.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends one request; `headers` are all it has beyond the host and the length.
pub async fn http(
    app: &TestApp,
    line: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Answer {
    http_on(connect(app).await, line, headers, body).await
}

/// A connection on which nothing was said yet.
pub async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(host(app)).await.expect("the server listens")
}

/// As [`http`], on a connection that is already open.
pub async fn http_on(
    mut stream: TcpStream,
    line: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Answer {
    let body = body.as_ref();
    let mut head = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    stream.write_all(body).await.expect("the server reads");
    let answer = read_all(stream).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("the answer has a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let link = head.lines().find_map(|line| line.strip_prefix("link: ")).map(str::to_owned);
    Answer { status, head: head.to_lowercase(), link, body: body.to_owned() }
}

/// Asks for a WebSocket of this subprotocol and returns all that comes, frames included: a client
/// library would refuse a handshake that does not choose it.
pub async fn upgrade(app: &TestApp, subprotocol: &str) -> String {
    let mut stream = connect(app).await;
    let head = format!(
        "GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: {subprotocol}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    // Half closed, so that the server does not wait for an answer to its close frame.
    stream.shutdown().await.expect("the server reads");
    read_all(stream).await
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("the server answers in time").expect("the connection ends well");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer that goes on, read as far as a test wants.
pub struct Stream {
    stream: TcpStream,
    /// What came and was not read yet, without the lengths of HTTP's chunks.
    text: String,
    bytes: Vec<u8>,
    /// Whether the last chunk has come.
    is_over: bool,
    /// The status code.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
}

impl Stream {
    /// Asks for one; `headers` are all that the request has beyond the host and the length.
    pub async fn open(app: &TestApp, line: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut stream = connect(app).await;
        let mut head = format!("{line} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(head.as_bytes()).await.expect("the server reads");
        let (text, head) = (String::new(), String::new());
        let mut new = Self { stream, text, bytes: Vec::new(), is_over: false, status: 0, head };
        while new.status == 0 {
            assert!(new.receive().await, "the answer has a head");
            let received = String::from_utf8_lossy(&new.bytes).into_owned();
            if let Some((head, _)) = received.split_once("\r\n\r\n") {
                new.bytes.drain(..head.len() + 4);
                let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
                (new.status, new.head) = (status.expect("a status"), head.to_lowercase());
            }
        }
        new
    }

    /// What comes up to `end`, which is read with it.
    pub async fn until(&mut self, end: &str) -> String {
        loop {
            self.unchunk();
            if let Some(at) = self.text.find(end) {
                let rest = self.text.split_off(at + end.len());
                return std::mem::replace(&mut self.text, rest);
            }
            assert!(self.receive().await, "before {end:?} it ended with {:?}", self.text);
        }
    }

    /// What comes until the body ends as HTTP says that it does.
    pub async fn rest(&mut self) -> String {
        loop {
            self.unchunk();
            if self.is_over {
                return std::mem::take(&mut self.text);
            }
            assert!(self.receive().await, "it was cut off after {:?}", self.text);
        }
    }

    async fn receive(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer)).await;
        let count = read.expect("the server speaks in time").expect("the connection is whole");
        self.bytes.extend_from_slice(&buffer[..count]);
        count != 0
    }

    /// Takes whole chunks out of the bytes.
    fn unchunk(&mut self) {
        while let Some(line) = self.bytes.windows(2).position(|two| two == b"\r\n") {
            let length = String::from_utf8_lossy(&self.bytes[..line]).into_owned();
            let length = usize::from_str_radix(&length, 16).expect("the length of a chunk");
            if self.bytes.len() < line + 4 + length {
                return;
            }
            let chunk: Vec<u8> = self.bytes.drain(..line + 4 + length).collect();
            let chunk = &chunk[line + 2..line + 2 + length];
            self.text.push_str(&String::from_utf8_lossy(chunk));
            self.is_over |= length == 0;
        }
    }
}

/// A POST of `body` with the app's key, as JSON.
pub async fn post(app: &TestApp, accept: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", app.key());
    let headers =
        [("accept", accept), ("content-type", "application/json"), ("authorization", &bearer)];
    http(app, "POST /graphql", &headers, body.to_string()).await
}

fn host(app: &TestApp) -> String {
    app.url().strip_prefix("http://").expect("the URL is http").trim_end_matches('/').to_owned()
}

/// A WebSocket client that knows nothing of the protocol.
pub struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Connects with the subprotocol of GraphQL and no key.
    pub async fn open(app: &TestApp) -> Self {
        let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
        Self::handshake(app, &[protocol]).await.expect("the handshake is accepted")
    }

    /// Connects with these headers; the answer when it is refused.
    pub async fn handshake(
        app: &TestApp,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Box<Response<Option<Vec<u8>>>>> {
        let host = host(app);
        let url = format!("ws://{host}/graphql");
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a header value");
            request.headers_mut().insert(*name, value);
        }
        // tungstenite's client insists on its subprotocol being chosen; a raw one must not.
        let stream = TcpStream::connect(&host).await.expect("the server listens");
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response),
            Err(error) => panic!("{error}"),
        }
    }

    /// Connects and is acknowledged.
    pub async fn acknowledged(app: &TestApp) -> Self {
        let mut socket = Self::open(app).await;
        let payload = json!({"authorization": format!("Bearer {}", app.key())});
        socket.send(&json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(socket.next().await["type"], "connection_ack");
        socket
    }

    /// Sends a message of the protocol.
    pub async fn send(&mut self, message: &Value) {
        self.send_raw(Message::text(message.to_string())).await;
    }

    /// Sends a frame.
    pub async fn send_raw(&mut self, message: Message) {
        self.0.send(message).await.expect("the socket is open");
    }

    /// Begins the operation `id`.
    pub async fn subscribe(&mut self, id: &str, query: &str) {
        let payload = json!({"query": query});
        self.send(&json!({"type": "subscribe", "id": id, "payload": payload})).await;
    }

    /// The next message of the protocol.
    pub async fn next(&mut self) -> Value {
        match self.frame().await {
            Message::Text(text) => serde_json::from_str(&text).expect("the message is JSON"),
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// The next message of this type; what else comes is passed over.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Asks for a `pong` and returns what came before it: what was said until now.
    pub async fn before_pong(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "ping"})).await;
        let mut before = Vec::new();
        loop {
            match self.next().await {
                message if message["type"] == "pong" => return before,
                message => before.push(message),
            }
        }
    }

    /// The code and the reason with which the server closes; messages before it are passed over.
    /// The connection then ends without a fault.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Message::Close(frame) = self.frame().await {
                let frame = frame.expect("the close frame has a code");
                let rest = timeout(PATIENCE, self.0.next()).await.expect("the server hangs up");
                assert!(rest.is_none(), "after the close frame came {rest:?}");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    async fn frame(&mut self) -> Message {
        let frame = timeout(PATIENCE, self.0.next()).await.expect("the server speaks in time");
        frame.expect("the socket is open").expect("the frame is well formed")
    }
}
