//! A client that wants its operation done: it goes from process to process until one says yes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::book::{now, pass};
use crate::node::ADMIN_KEY;

/// What no operation waits for longer.
const PATIENCE_MS: i64 = 120_000;
/// Between two tries.
const PACE_MS: i64 = 100;

/// A client of all processes.
pub struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    next: AtomicUsize,
}

/// An operation that was acknowledged.
pub struct Done {
    /// When it was first asked for.
    pub asked_at: i64,
    /// When the answer came.
    pub acked_at: i64,
    /// The root field.
    pub payload: Value,
}

impl Client {
    /// A client of the processes at `urls`.
    pub fn new(urls: Vec<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(12));
        Self { http: http.build().expect("a client"), urls, next: AtomicUsize::new(0) }
    }

    /// Where the processes are.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// A query that is repeated until it is answered: the root field.
    pub async fn ask(&self, field: &str, query: &str, variables: Value) -> Value {
        self.until_done(field, query, &variables).await.payload
    }

    /// A mutation that is repeated, as it is, until it is acknowledged.
    pub async fn mutate(&self, field: &str, query: &str, input: Value) -> Done {
        let done = self.until_done(field, query, &json!({ "input": input })).await;
        let errors = &done.payload["userErrors"];
        // The answer to the first try may have been lost: then there is nothing left to do.
        let was_done = errors[0]["code"] == json!("CONFLICT");
        assert!(*errors == json!([]) || was_done, "{field}: {errors}");
        done
    }

    /// One try at the next process.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn try_once(&self, query: &str, variables: &Value) -> Result<Value, String> {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.urls.len();
        let answer = self
            .http
            .post(format!("{}/graphql", self.urls[place]))
            .bearer_auth(ADMIN_KEY)
            .header("content-type", "application/json")
            .body(json!({ "query": query, "variables": variables }).to_string())
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_str(&text).map_err(|_| text.clone())?;
        match value.get("errors") {
            None => Ok(value["data"].clone()),
            Some(errors) => Err(errors.to_string()),
        }
    }

    async fn until_done(&self, field: &str, query: &str, variables: &Value) -> Done {
        let asked_at = now();
        loop {
            match self.try_once(query, variables).await {
                Ok(data) => {
                    return Done { asked_at, acked_at: now(), payload: data[field].clone() };
                }
                Err(error) => {
                    assert!(now() < asked_at + PATIENCE_MS, "{field} was never done: {error}");
                    assert!(!error.contains("GRAPHQL_VALIDATION"), "{field}: {error}");
                    pass(PACE_MS).await;
                }
            }
        }
    }
}
