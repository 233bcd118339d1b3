//! Spans to an OpenTelemetry collector: OTLP over HTTP, protobuf, in batches.
//!
//! The batches are made by a thread of the SDK's own, which knows no runtime; the requests are made
//! on Belfry's, by the HTTP client that is there anyway. What cannot be sent is dropped: a trace is
//! no record, the log is.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

/// The signal's path below the collector's address, as OTLP/HTTP has it.
const PATH: &str = "/v1/traces";
/// How long one batch may take.
const BATCH_SECS_MAX: u64 = 10;
/// How long the end of the process waits for the last batch.
const END_SECS_MAX: u64 = 5;

/// The way to a collector.
pub(super) struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Begins; to be called on the runtime.
    ///
    /// # Errors
    /// A sentence when the client cannot be made.
    pub(super) fn start(collector: &str) -> Result<Self, String> {
        let failed = |why: String| format!("--otlp-endpoint: the client could not be made: {why}");
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(BATCH_SECS_MAX))
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client { http, runtime: Handle::current() })
            .with_endpoint(format!("{}{PATH}", collector.trim_end_matches('/')))
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name("belfry").build())
            .build();
        Ok(Self { provider })
    }

    /// What takes spans from `tracing`.
    pub(super) fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracer(self.provider.tracer("belfry"))
    }

    /// Sends the last batch.
    pub(super) async fn end(self) {
        // It waits for the batch's thread, which waits for the runtime.
        let ending = tokio::task::spawn_blocking(move || self.provider.shutdown());
        match tokio::time::timeout(Duration::from_secs(END_SECS_MAX), ending).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not sent"),
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were not sent"),
            Err(_) => tracing::warn!("the last spans were not sent in time"),
        }
    }
}

/// The HTTP client of stages for requests from a thread without a runtime.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let http = self.http.clone();
        let sending = self.runtime.spawn(async move {
            let (head, body) = request.into_parts();
            let request = http.request(head.method, head.uri.to_string());
            let answer = request.headers(head.headers).body(body).send().await?;
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await?;
            Ok::<_, reqwest::Error>(response)
        });
        Ok(sending.await??)
    }
}
