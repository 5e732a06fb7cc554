//! `/metrics` over HTTP, for Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};
use tiny_http::{Header, Method, Response, Server};

/// A listening server; dropping it ends its thread.
pub(super) struct MetricsServer {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Answers each scrape with what `text` gives then.
    pub(super) fn start(
        listen: SocketAddr,
        text: impl Fn() -> Result<String> + Send + 'static,
    ) -> Result<Self> {
        let server = Server::http(listen).map_err(|error| {
            anyhow!(
                "cannot listen on {listen} for /metrics: {error}; set metrics.listen to a free \
                     address"
            )
        })?;
        let server = Arc::new(server);
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn({
            let server = Arc::clone(&server);
            move || {
                for request in server.incoming_requests() {
                    let (status, body) = match (request.method(), request.url()) {
                        (Method::Get | Method::Head, "/metrics") => match text() {
                            Ok(text) => (200, text),
                            Err(error) => (500, format!("{error:#}\n")),
                        },
                        (Method::Get | Method::Head, "/" | "/health") => {
                            (200, "wirepatch; see /metrics\n".to_owned())
                        }
                        _ => (404, "there is /metrics\n".to_owned()),
                    };
                    let mut response = Response::from_string(body).with_status_code(status);
                    if let Ok(kind) = Header::from_bytes(
                        &b"Content-Type"[..],
                        &b"text/plain; version=0.0.4; charset=utf-8"[..],
                    ) {
                        response.add_header(kind);
                    }
                    // A scraper that has gone away asks again.
                    let _ = request.respond(response);
                }
            }
        })?;
        Ok(Self { server, thread: Some(thread) })
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
