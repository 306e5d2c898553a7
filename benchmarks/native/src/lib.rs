//! What the reference server and the load generator share: a readiness loop, HTTP/1.1 framing, a histogram.

pub mod epoll;
pub mod histogram;
pub mod http;
