//! The process: I/O threads that answer, a control thread that accepts, swaps, watches and ends.

mod admin;
mod desk;
mod docs;
mod http;
mod io;
mod link;
mod scoring;
mod server;
mod state;

pub use server::{Started, serve};

/// Structured JSON logs on stderr; `filter` as `tracing_subscriber::EnvFilter` reads it. A second call does nothing.
pub fn init_logging(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| "info".into());
    let logs =
        tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_writer(std::io::stderr);
    drop(logs.try_init());
}
