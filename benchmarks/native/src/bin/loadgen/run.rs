//! The loops.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use fairlead_bench::epoll::{Epoll, Interest, Ready};

use crate::arrivals::Poisson;
use crate::connection::{Connection, Received};
use crate::options::{Load, Options};
use crate::report::Report;

/// How long answers may still come in after the last request was sent.
const DRAIN: Duration = Duration::from_secs(10);

pub struct Run<'a> {
    options: &'a Options,
    requests: &'a [Vec<u8>],
    epoll: Epoll,
    connections: Vec<Connection>,
    /// Connections without a request, the longest idle first.
    free: VecDeque<usize>,
    /// Intended times of requests that wait for a connection.
    waiting: VecDeque<Instant>,
    next_request: usize,
    begin: Instant,
    end: Instant,
    last_answer: Instant,
    report: Report,
    /// Kept for its memory.
    ready: Vec<Ready>,
}

impl<'a> Run<'a> {
    pub fn new(options: &'a Options, requests: &'a [Vec<u8>]) -> Result<Self, Box<dyn Error>> {
        let count = match options.load {
            Load::Open { connections, .. } | Load::Closed { connections } => connections,
            Load::Blocking => 1,
        };
        let epoll = Epoll::new(1024)?;
        let mut connections = Vec::with_capacity(count);
        for token in 0..count {
            let connection = Connection::open(options.address(), true)?;
            epoll.add(&connection.stream, token as u64, Interest::Read)?;
            connections.push(connection);
        }
        let begin = Instant::now();
        Ok(Self {
            options,
            requests,
            epoll,
            connections,
            free: (0..count).collect(),
            waiting: VecDeque::new(),
            next_request: 0,
            begin: begin + options.warmup,
            end: begin + options.warmup + options.duration,
            last_answer: begin,
            report: Report::default(),
            ready: Vec::new(),
        })
    }

    /// Runs to the end and waits for the answers that are still out.
    pub fn finish(mut self) -> Result<Report, Box<dyn Error>> {
        match self.options.load {
            Load::Open { rate, .. } => self.open(Poisson::new(rate, self.options.seed))?,
            _ => self.closed()?,
        }
        let out =
            self.connections.iter().filter(|connection| connection.intended.is_some()).count() + self.waiting.len();
        self.report.unanswered += out as u64;
        self.report.errors += out as u64;
        let stop =
            if matches!(self.options.load, Load::Open { .. }) { self.last_answer.max(self.end) } else { self.end };
        self.report.elapsed = stop.saturating_duration_since(self.begin);
        Ok(self.report)
    }

    fn open(&mut self, mut arrivals: Poisson) -> io::Result<()> {
        let mut next = self.begin + arrivals.gap();
        loop {
            let now = Instant::now();
            while next <= now && next < self.end {
                self.waiting.push_back(next);
                self.report.arrivals += 1;
                next += arrivals.gap();
            }
            self.give_up_late(now);
            self.report.max_queue = self.report.max_queue.max(self.waiting.len());
            while !self.free.is_empty() {
                let Some(intended) = self.waiting.pop_front() else {
                    break;
                };
                let Some(index) = self.free.pop_front() else { break };
                self.report.delay.record(Instant::now().saturating_duration_since(intended));
                self.send(index, intended)?;
            }
            if self.options.no_wait {
                self.report.abandoned += self.waiting.len() as u64;
                self.waiting.clear();
            }
            let idle = self.free.len() == self.connections.len() && self.waiting.is_empty();
            if next >= self.end && (idle || now >= self.end + DRAIN) {
                return Ok(());
            }
            let wake = if next < self.end { next } else { self.end + DRAIN };
            self.wait(wake)?;
        }
    }

    fn give_up_late(&mut self, now: Instant) {
        let Some(limit) = self.options.deadline else { return };
        while self.waiting.front().is_some_and(|intended| now.saturating_duration_since(*intended) > limit) {
            self.waiting.pop_front();
            self.report.abandoned += 1;
        }
    }

    fn closed(&mut self) -> io::Result<()> {
        loop {
            let now = Instant::now();
            if now < self.end {
                while let Some(index) = self.free.pop_front() {
                    self.send(index, Instant::now())?;
                }
            } else if self.free.len() == self.connections.len() || now >= self.end + DRAIN {
                return Ok(());
            }
            self.wait(if now < self.end { self.end } else { self.end + DRAIN })?;
        }
    }

    fn send(&mut self, index: usize, intended: Instant) -> io::Result<()> {
        let request = self.next_request;
        self.next_request = (request + 1) % self.requests.len();
        self.report.sent += 1;
        let connection = &mut self.connections[index];
        match connection.send(request, self.requests, intended) {
            Ok(true) => Ok(()),
            Ok(false) => self.epoll.modify(&connection.stream, index as u64, Interest::ReadWrite),
            Err(_) => self.lost(index, "the connection broke while sending"),
        }
    }

    fn wait(&mut self, wake: Instant) -> io::Result<()> {
        let timeout = wake.saturating_duration_since(Instant::now());
        let mut ready = std::mem::take(&mut self.ready);
        ready.extend(self.epoll.wait(Some(timeout))?);
        for event in ready.drain(..) {
            let index = event.token as usize;
            if event.writable {
                let connection = &mut self.connections[index];
                match connection.write(self.requests) {
                    Ok(true) => self.epoll.modify(&connection.stream, event.token, Interest::Read)?,
                    Ok(false) => {}
                    Err(_) => self.lost(index, "the connection broke while sending")?,
                }
            }
            if event.readable {
                self.receive(index)?;
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        match connection.receive() {
            Received::Nothing => Ok(()),
            Received::Gone(why) => self.lost(index, why),
            Received::Answer { status, close } => {
                let now = Instant::now();
                let Some(intended) = connection.intended.take() else {
                    return self.lost(index, "an answer without a request");
                };
                let counted = match self.options.load {
                    Load::Open { .. } => true,
                    _ => intended >= self.begin && now <= self.end,
                };
                if status != 200 {
                    let text = connection.answer_text();
                    self.report.failed(|| text);
                }
                if counted {
                    self.last_answer = now;
                    self.report.answered(status, now - intended, self.options.deadline);
                }
                if close {
                    return self.reopen(index);
                }
                self.free.push_back(index);
                Ok(())
            }
        }
    }

    /// A connection ended: an error if a request was on it; in both cases it is opened again.
    fn lost(&mut self, index: usize, why: &'static str) -> io::Result<()> {
        if self.connections[index].intended.take().is_some() {
            self.report.errors += 1;
            self.report.failed(|| why.to_owned());
            return self.reopen(index);
        }
        self.free.retain(|free| *free != index);
        self.reopen(index)
    }

    fn reopen(&mut self, index: usize) -> io::Result<()> {
        self.connections[index] = Connection::open(self.options.address(), true)?;
        self.epoll.add(&self.connections[index].stream, index as u64, Interest::Read)?;
        self.free.push_back(index);
        Ok(())
    }
}

/// One connection and blocking calls: two system calls a request and no readiness loop.
pub fn blocking(options: &Options, requests: &[Vec<u8>]) -> Result<Report, Box<dyn Error>> {
    let mut report = Report::default();
    let mut connection = Connection::open(options.address(), false)?;
    connection.stream.set_read_timeout(Some(DRAIN))?;
    let begin = Instant::now();
    let (counted, end) = (begin + options.warmup, begin + options.warmup + options.duration);
    for index in (0..requests.len()).cycle() {
        let start = Instant::now();
        if start >= end {
            break;
        }
        connection.send(index, requests, start)?;
        let status = loop {
            match connection.receive() {
                Received::Nothing if start.elapsed() < DRAIN => {}
                Received::Nothing => return Err("no answer".into()),
                Received::Gone(why) => return Err(why.into()),
                Received::Answer { status, close } => {
                    if close {
                        connection = Connection::open(options.address(), false)?;
                    }
                    break status;
                }
            }
        };
        if status != 200 {
            report.failed(|| connection.answer_text());
        }
        if start >= counted {
            report.sent += 1;
            report.answered(status, start.elapsed(), options.deadline);
        }
    }
    report.elapsed = options.duration;
    Ok(report)
}
