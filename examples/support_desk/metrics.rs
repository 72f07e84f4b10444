//! The metrics page: what the runtime counts, for Prometheus. The names are in `greenroom::telemetry`.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use greenroom::Runtime;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The page, served until this is dropped.
pub(crate) struct MetricsPage {
    /// Where: the port that was given, or the one that was free.
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
}

impl MetricsPage {
    /// Serves `/metrics` on `listener`.
    ///
    /// # Errors
    ///
    /// What the system says of the listener.
    pub(crate) fn serve(
        listener: TcpListener,
        handle: PrometheusHandle,
        runtime: Runtime,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let page = move || async move {
            // Gauges are set when somebody looks.
            runtime.measure();
            ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())
        };
        let router = Router::new().route("/metrics", get(page));
        let mut server = JoinSet::new();
        server.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("support_desk: the metrics page ended: {error}");
            }
        });
        Ok(MetricsPage { address, _server: server })
    }
}
