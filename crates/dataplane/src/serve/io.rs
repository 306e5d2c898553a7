//! One I/O thread: a single-threaded runtime with its connections, its inline models and its mailbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::error::{Code, Error, Result};
use crate::execute::{Mail, deliver};
use crate::wire::options::Limits;

use super::desk::Desk;
use super::http;

/// A connection handed to an I/O thread, with its place among the allowed ones.
pub struct Visitor {
    pub stream: std::net::TcpStream,
    pub place: OwnedSemaphorePermit,
}

/// An I/O thread as the others see it.
pub struct IoThread {
    pub handle: Handle,
    pub mail: UnboundedSender<Mail>,
    pub visitors: UnboundedSender<Visitor>,
    /// Open connections.
    pub load: Arc<AtomicUsize>,
}

/// What the thread gets once the shared state exists.
pub struct Duty {
    pub desk: Arc<Desk>,
    pub limits: Limits,
    /// True: finish what is in flight on every connection and close it.
    pub stop: watch::Receiver<bool>,
}

impl IoThread {
    /// Starts the thread; it serves connections once `duty` has come.
    pub fn start(home: usize, duty: tokio::sync::oneshot::Receiver<Duty>) -> Result<Self> {
        let fail = |error: std::io::Error| Error::new(Code::Internal, format!("cannot start an I/O thread: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
        let handle = runtime.handle().clone();
        let (mail, mailbox) = unbounded_channel();
        let (visitors, arrivals) = unbounded_channel();
        let load = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&load);
        let work = move || {
            runtime.block_on(async move {
                tokio::spawn(deliver(mailbox));
                if let Ok(duty) = duty.await {
                    receive(duty, arrivals, counter).await;
                }
            });
        };
        std::thread::Builder::new().name(format!("io-{home}")).spawn(work).map_err(fail)?;
        Ok(Self { handle, mail, visitors, load })
    }
}

async fn receive(duty: Duty, mut arrivals: UnboundedReceiver<Visitor>, load: Arc<AtomicUsize>) {
    let patience = Duration::from_millis(duty.limits.header_timeout_ms);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience).writev(false);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(1_024);
    let builder = Arc::new(builder);
    while let Some(visitor) = arrivals.recv().await {
        let stream = match tokio::net::TcpStream::from_std(visitor.stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken over");
                continue;
            }
        };
        load.fetch_add(1, Ordering::Relaxed);
        let (desk, builder) = (Arc::clone(&duty.desk), Arc::clone(&builder));
        let (stop, load, place) = (duty.stop.clone(), Arc::clone(&load), visitor.place);
        tokio::spawn(async move {
            desk.state.metrics.connections.inc();
            converse(stream, &desk, &builder, patience, stop).await;
            desk.state.metrics.connections.dec();
            load.fetch_sub(1, Ordering::Relaxed);
            drop(place);
        });
    }
}

async fn converse(
    stream: tokio::net::TcpStream,
    desk: &Arc<Desk>,
    builder: &auto::Builder<TokioExecutor>,
    patience: Duration,
    mut stop: watch::Receiver<bool>,
) {
    // Who says nothing at all is let go: until the first byte hyper does not know which protocol's timeouts to apply.
    let speaks = tokio::select! {
        biased;
        spoken = tokio::time::timeout(patience, stream.readable()) => spoken.is_ok(),
        _ = stop.wait_for(|&stop| stop) => false,
    };
    if !speaks {
        return;
    }
    let service = service_fn(|request| http::handle(Arc::clone(desk), request));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        _ = stop.wait_for(|&stop| stop) => None,
    };
    if ended.is_none() {
        connection.as_mut().graceful_shutdown();
        // A connection that breaks while it is being closed has nothing left to tell.
        drop(connection.await);
    }
}
