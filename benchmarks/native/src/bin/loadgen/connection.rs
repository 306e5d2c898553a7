//! One keep-alive connection with at most one request on it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use fairlead_bench::http::{self, Parsed};

/// What a read found.
pub enum Received {
    Nothing,
    Answer { status: u16, close: bool },
    Gone(&'static str),
}

pub struct Connection {
    pub stream: TcpStream,
    /// Intended send time of the request on it.
    pub intended: Option<Instant>,
    /// Index of the request on it and how much of it is written.
    request: usize,
    written: usize,
    input: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub fn open(address: SocketAddr, nonblocking: bool) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(nonblocking)?;
        Ok(Self { stream, intended: None, request: 0, written: 0, input: vec![0; 8192], filled: 0 })
    }

    /// Starts a request; false where part of it must wait until the connection is writable.
    pub fn send(&mut self, index: usize, requests: &[Vec<u8>], intended: Instant) -> io::Result<bool> {
        self.intended = Some(intended);
        self.request = index;
        self.written = 0;
        self.filled = 0;
        self.write(requests)
    }

    /// Goes on with the request; true when it is wholly written.
    pub fn write(&mut self, requests: &[Vec<u8>]) -> io::Result<bool> {
        let request = &requests[self.request];
        while self.written < request.len() {
            match self.stream.write(&request[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads once.
    pub fn receive(&mut self) -> Received {
        if self.filled == self.input.len() {
            self.input.resize(2 * self.filled, 0);
        }
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => return Received::Gone("the server closed the connection"),
            Ok(count) => self.filled += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Received::Nothing;
            }
            Err(_) => return Received::Gone("the connection broke"),
        }
        match http::response(&self.input[..self.filled]) {
            Parsed::Partial => Received::Nothing,
            Parsed::Broken => Received::Gone("the answer is not HTTP/1.1 with a length"),
            Parsed::Whole((status, frame)) => Received::Answer { status, close: frame.close },
        }
    }

    /// The last answer's start, as text.
    pub fn answer_text(&self) -> String {
        String::from_utf8_lossy(&self.input[..self.filled.min(600)]).into_owned()
    }
}
