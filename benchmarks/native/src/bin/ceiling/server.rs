//! The loop: read what is ready, run the model once on all of it, answer. One thread, no hand-over, no allocation in the
//! steady state but ONNX Runtime's own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use fairlead_bench::epoll::{Epoll, Interest, Ready};
use fairlead_bench::http::{self, Parsed};

use crate::model::{Model, Output};
use crate::oip;

const LISTENER: u64 = u64::MAX;
const READ_BYTES: usize = 16 * 1024;
/// As long as a real answer.
const CONSTANT: &[u8] = br#"{"model_name":"fraud","model_version":"1","outputs":[{"name":"label","datatype":"INT64","shape":[1],"data":[0]},{"name":"probabilities","datatype":"FP32","shape":[1,2],"data":[0.99123456,0.008765432]}]}"#;

/// How much of the work is done: the difference between two modes is the price of what they differ in.
pub enum Mode {
    /// Answer a constant without looking at the body.
    Echo,
    /// Parse the body, answer a constant.
    ParseOnly {
        columns: usize,
    },
    Infer {
        model: Box<Model>,
        batch: bool,
    },
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    written: usize,
    blocked: bool,
    closing: bool,
}

/// One request of this turn, in order of arrival.
struct Pending {
    connection: usize,
    answer: Answer,
}

#[derive(Clone, Copy)]
enum Answer {
    Empty,
    Bad,
    Constant,
    Rows(usize),
}

pub struct Server {
    epoll: Epoll,
    listener: TcpListener,
    mode: Mode,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Free at the end of this turn: until then its answers must not reach a newcomer.
    closed: Vec<usize>,
    pending: Vec<Pending>,
    matrix: Vec<f32>,
    body: Vec<u8>,
}

impl Server {
    pub fn bind(port: u16, mode: Mode) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(1024)?;
        epoll.add(&listener, LISTENER, Interest::Read)?;
        Ok(Self {
            epoll,
            listener,
            mode,
            connections: Vec::new(),
            free: Vec::new(),
            closed: Vec::new(),
            pending: Vec::new(),
            matrix: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Serves until the process is ended.
    pub fn run(&mut self) -> io::Result<()> {
        let mut ready: Vec<Ready> = Vec::new();
        loop {
            ready.clear();
            ready.extend(self.epoll.wait(None)?);
            for event in &ready {
                if event.token == LISTENER {
                    self.accept()?;
                    continue;
                }
                let index = event.token as usize;
                if event.writable {
                    self.flush(index)?;
                }
                if event.readable {
                    self.receive(index);
                }
            }
            self.answer()?;
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.epoll.add(&stream, index as u64, Interest::Read)?;
            self.connections[index] = Some(Connection {
                stream,
                input: vec![0; READ_BYTES],
                filled: 0,
                output: Vec::new(),
                written: 0,
                blocked: false,
                closing: false,
            });
        }
    }

    fn receive(&mut self, index: usize) {
        let Some(connection) = self.connections[index].as_mut() else {
            return;
        };
        if connection.filled == connection.input.len() {
            connection.input.resize(2 * connection.filled, 0);
        }
        match connection.stream.read(&mut connection.input[connection.filled..]) {
            Ok(0) => return self.close(index),
            Ok(count) => connection.filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.close(index),
        }
        let mut start = 0;
        loop {
            let text = &connection.input[start..connection.filled];
            let (answer, length) = match http::request(text) {
                _ if text.is_empty() => break,
                Parsed::Partial => break,
                Parsed::Broken => {
                    connection.closing = true;
                    (Answer::Bad, text.len())
                }
                Parsed::Whole(request) => {
                    connection.closing |= request.frame.close;
                    let body = &text[request.frame.body..request.frame.length];
                    let answer = if request.is_post { take(&self.mode, body, &mut self.matrix) } else { Answer::Empty };
                    (answer, request.frame.length)
                }
            };
            self.pending.push(Pending { connection: index, answer });
            start += length;
        }
        connection.input.copy_within(start..connection.filled, 0);
        connection.filled -= start;
    }

    /// Runs the model on this turn's rows and sends this turn's answers.
    fn answer(&mut self) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        let together = if matches!(self.mode, Mode::Infer { batch: false, .. }) { 1 } else { pending.len().max(1) };
        let mut taken = 0;
        for group in pending.chunks(together) {
            let rows: usize = group.iter().map(|request| request.answer.rows()).sum();
            let (connections, body) = (&mut self.connections, &mut self.body);
            match &mut self.mode {
                Mode::Infer { model, .. } if rows > 0 => {
                    let values = &self.matrix[taken * model.columns..(taken + rows) * model.columns];
                    model.run(values, |outputs| reply(group, outputs, connections, body)).map_err(io::Error::other)?;
                }
                _ => reply(group, &[], connections, body),
            }
            taken += rows;
        }
        for request in &pending {
            self.flush(request.connection)?;
        }
        self.free.append(&mut self.closed);
        self.matrix.clear();
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    fn flush(&mut self, index: usize) -> io::Result<()> {
        let Some(connection) = self.connections[index].as_mut() else {
            return Ok(());
        };
        if connection.output.is_empty() {
            return Ok(());
        }
        match connection.stream.write(&connection.output[connection.written..]) {
            Ok(count) => connection.written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => {
                self.close(index);
                return Ok(());
            }
        }
        let blocked = connection.written < connection.output.len();
        if blocked != connection.blocked {
            connection.blocked = blocked;
            let interest = if blocked { Interest::ReadWrite } else { Interest::Read };
            self.epoll.modify(&connection.stream, index as u64, interest)?;
        }
        if blocked {
            return Ok(());
        }
        connection.output.clear();
        connection.written = 0;
        if connection.closing {
            self.close(index);
        }
        Ok(())
    }

    fn close(&mut self, index: usize) {
        if self.connections[index].take().is_some() {
            self.closed.push(index);
        }
    }
}

impl Answer {
    fn rows(self) -> usize {
        if let Self::Rows(rows) = self { rows } else { 0 }
    }
}

/// What the body asks for; the rows of a good one are in `matrix` afterwards, those of a bad one are not.
fn take(mode: &Mode, body: &[u8], matrix: &mut Vec<f32>) -> Answer {
    let columns = match mode {
        Mode::Echo => return Answer::Constant,
        Mode::ParseOnly { columns } => *columns,
        Mode::Infer { model, .. } => model.columns,
    };
    let before = matrix.len();
    match (oip::read_rows(body, columns, matrix), mode) {
        (Some(_), Mode::ParseOnly { .. }) => {
            matrix.truncate(before);
            Answer::Constant
        }
        (Some(rows), _) => Answer::Rows(rows),
        (None, _) => {
            matrix.truncate(before);
            Answer::Bad
        }
    }
}

/// Writes the answers of `group` into their connections' buffers; `outputs` holds the group's rows, one after the other.
fn reply(group: &[Pending], outputs: &[Output<'_>], connections: &mut [Option<Connection>], body: &mut Vec<u8>) {
    let mut first = 0;
    for request in group {
        let rows = request.answer.rows();
        let Some(connection) = connections[request.connection].as_mut() else {
            first += rows;
            continue;
        };
        body.clear();
        match request.answer {
            Answer::Rows(rows) => oip::write_answer(outputs, first, rows, body),
            Answer::Constant => body.extend_from_slice(CONSTANT),
            Answer::Bad => body.extend_from_slice(br#"{"error":"not an inference request for this model"}"#),
            Answer::Empty => {}
        }
        first += rows;
        let bad = matches!(request.answer, Answer::Bad);
        let out = &mut connection.output;
        out.extend_from_slice(if bad { b"HTTP/1.1 400 Bad Request\r\n" } else { b"HTTP/1.1 200 OK\r\n" });
        out.extend_from_slice(b"content-type: application/json\r\ncontent-length: ");
        out.extend_from_slice(itoa::Buffer::new().format(body.len()).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
    }
}
