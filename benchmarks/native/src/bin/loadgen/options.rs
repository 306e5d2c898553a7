//! Command line, and the prepared requests.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::ValueExt;

pub const USAGE: &str = "\
loadgen --port P --path /v2/models/NAME/infer --bodies FILE (one request body per line) --seconds S, and one of
  --rate R [--connections N]   open loop: Poisson arrivals, R a second, over N keep-alive connections (default 64)
  --closed N                   closed loop: N connections, each sends again as soon as it is answered
  --blocking                   one blocking connection, the least a client can do
and
  --deadline-ms D   open loop: count 200s within D of the intended time; what is still unsent after D is given up
  --no-wait         open loop: a request that finds every connection busy is given up at once
  --warmup S        closed loop: seconds before counting starts (default 0)
  --header 'A: b'   add a header, repeatable
  --seed N          of the arrival times (default 1)
It sends to 127.0.0.1 only.";

/// However long a run is asked for, it ends.
const LONGEST_SECONDS: f64 = 3600.0;

#[derive(Clone, Copy, PartialEq)]
pub enum Load {
    Open { rate: f64, connections: usize },
    Closed { connections: usize },
    Blocking,
}

pub struct Options {
    pub port: u16,
    pub path: String,
    pub bodies: PathBuf,
    pub duration: Duration,
    pub warmup: Duration,
    pub load: Load,
    pub deadline: Option<Duration>,
    pub no_wait: bool,
    pub headers: Vec<String>,
    pub seed: u64,
}

/// The command line as it stands, not yet checked.
struct Flags {
    port: Option<u16>,
    path: String,
    bodies: Option<PathBuf>,
    seconds: Option<f64>,
    warmup: f64,
    rate: Option<f64>,
    connections: usize,
    closed: Option<usize>,
    blocking: bool,
    deadline_ms: Option<f64>,
    no_wait: bool,
    headers: Vec<String>,
    seed: u64,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            port: None,
            path: String::from("/"),
            bodies: None,
            seconds: None,
            warmup: 0.0,
            rate: None,
            connections: 64,
            closed: None,
            blocking: false,
            deadline_ms: None,
            no_wait: false,
            headers: Vec::new(),
            seed: 1,
        }
    }
}

impl Flags {
    fn parse() -> Result<Self, lexopt::Error> {
        use lexopt::Arg::Long;
        let mut flags = Self::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("port") => flags.port = Some(parser.value()?.parse()?),
                Long("path") => flags.path = parser.value()?.string()?,
                Long("bodies") => flags.bodies = Some(parser.value()?.into()),
                Long("seconds") => flags.seconds = Some(parser.value()?.parse()?),
                Long("warmup") => flags.warmup = parser.value()?.parse()?,
                Long("rate") => flags.rate = Some(parser.value()?.parse()?),
                Long("connections") => flags.connections = parser.value()?.parse()?,
                Long("closed") => flags.closed = Some(parser.value()?.parse()?),
                Long("blocking") => flags.blocking = true,
                Long("deadline-ms") => flags.deadline_ms = Some(parser.value()?.parse()?),
                Long("no-wait") => flags.no_wait = true,
                Long("header") => flags.headers.push(parser.value()?.string()?),
                Long("seed") => flags.seed = parser.value()?.parse()?,
                Long("help") => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(flags)
    }
}

impl Options {
    pub fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let flags = Flags::parse()?;
        let load = match (flags.rate, flags.closed, flags.blocking) {
            (Some(rate), None, false) if rate > 0.0 && flags.connections > 0 => {
                Load::Open { rate, connections: flags.connections }
            }
            (None, Some(connections), false) if connections > 0 => Load::Closed { connections },
            (None, None, true) => Load::Blocking,
            _ => return Err("exactly one of --rate, --closed and --blocking, with positive numbers".into()),
        };
        Ok(Self {
            port: flags.port.ok_or("--port is missing")?,
            path: flags.path,
            bodies: flags.bodies.ok_or("--bodies is missing")?,
            duration: Duration::from_secs_f64(flags.seconds.ok_or("--seconds is missing")?.min(LONGEST_SECONDS)),
            warmup: Duration::from_secs_f64(flags.warmup.min(LONGEST_SECONDS)),
            load,
            deadline: flags.deadline_ms.map(|limit| Duration::from_secs_f64(limit / 1e3)),
            no_wait: flags.no_wait,
            headers: flags.headers,
            seed: flags.seed,
        })
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// One whole HTTP request per line of the bodies' file.
    pub fn requests(&self) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let text = std::fs::read(&self.bodies)?;
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n",
            self.path, self.port
        );
        for header in &self.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        let requests: Vec<Vec<u8>> = text
            .split(|byte| *byte == b'\n')
            .filter(|body| !body.is_empty())
            .map(|body| {
                let mut request = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
                request.extend_from_slice(body);
                request
            })
            .collect();
        if requests.is_empty() {
            return Err("the bodies' file is empty".into());
        }
        Ok(requests)
    }
}
