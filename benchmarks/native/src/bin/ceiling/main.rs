//! The bare reference server: what a prediction costs when nothing is done but reading, inferring and answering.
//!
//! No validation, prediction log, statistics or metrics. It is the yardstick of the benchmarks, not a server to use.

mod model;
mod oip;
mod server;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fairlead_bench::histogram::Histogram;
use lexopt::ValueExt;
use model::Model;
use server::{Mode, Server};

const USAGE: &str = "\
ceiling --port P --model model.onnx --library libonnxruntime.so [--no-batch]   serve on 127.0.0.1
ceiling --port P --echo                                            answer a constant
ceiling --port P --parse-only COLUMNS                              parse, then answer a constant
ceiling --bare SECONDS --bodies FILE --model ... --library ...     call the model in a loop, print its latency as JSON";

#[derive(Default)]
struct Arguments {
    port: Option<u16>,
    model: Option<PathBuf>,
    library: Option<PathBuf>,
    no_batch: bool,
    echo: bool,
    parse_only: Option<usize>,
    bare: Option<f64>,
    bodies: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    use lexopt::Arg::Long;
    let mut found = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => found.port = Some(parser.value()?.parse()?),
            Long("model") => found.model = Some(parser.value()?.into()),
            Long("library") => found.library = Some(parser.value()?.into()),
            Long("no-batch") => found.no_batch = true,
            Long("echo") => found.echo = true,
            Long("parse-only") => found.parse_only = Some(parser.value()?.parse()?),
            Long("bare") => found.bare = Some(parser.value()?.parse()?),
            Long("bodies") => found.bodies = Some(parser.value()?.into()),
            Long("help") => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(found)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let load = || -> Result<Model, Box<dyn Error>> {
        let model = arguments.model.as_ref().ok_or("--model is missing")?;
        let library = arguments.library.as_ref().ok_or("--library is missing")?;
        Model::load(library, model)
    };
    if let Some(seconds) = arguments.bare {
        let bodies = arguments.bodies.as_ref().ok_or("--bodies is missing")?;
        return bare(&mut load()?, &std::fs::read(bodies)?, Duration::from_secs_f64(seconds));
    }
    let mode = if arguments.echo {
        Mode::Echo
    } else if let Some(columns) = arguments.parse_only {
        Mode::ParseOnly { columns }
    } else {
        Mode::Infer { model: Box::new(load()?), batch: !arguments.no_batch }
    };
    let port = arguments.port.ok_or("--port is missing")?;
    let mut server = Server::bind(port, mode)?;
    eprintln!("listening on 127.0.0.1:{port}");
    Ok(server.run()?)
}

/// The latency of the model alone, one row a call, over the first row of each body in turn.
fn bare(model: &mut Model, bodies: &[u8], limit: Duration) -> Result<(), Box<dyn Error>> {
    let mut matrix = Vec::new();
    for body in bodies.split(|byte| *byte == b'\n').filter(|body| !body.is_empty()) {
        let start = matrix.len();
        oip::read_rows(body, model.columns, &mut matrix).ok_or("a body is not an inference request")?;
        matrix.truncate(start + model.columns);
    }
    let mut histogram = Histogram::default();
    let begin = Instant::now();
    for row in matrix.chunks(model.columns).cycle() {
        let start = Instant::now();
        model.run(row, |_| ())?;
        histogram.record(start.elapsed());
        if begin.elapsed() >= limit {
            break;
        }
    }
    let report = serde_json::json!({
        "calls": histogram.total(),
        "p50_ms": histogram.quantile_ms(0.5),
        "p99_ms": histogram.quantile_ms(0.99),
    });
    println!("{report}");
    Ok(())
}
