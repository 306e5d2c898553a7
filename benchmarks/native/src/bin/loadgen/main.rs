//! A load generator that does not flatter: arrivals keep their times whether or not the server keeps up.

mod arrivals;
mod connection;
mod options;
mod report;
mod run;

use std::error::Error;

use options::{Load, Options};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_arguments()?;
    let requests = options.requests()?;
    fairlead_bench::epoll::precise_timers();
    let report = match options.load {
        Load::Blocking => run::blocking(&options, &requests)?,
        _ => run::Run::new(&options, &requests)?.finish()?,
    };
    println!("{}", report.json(&options));
    Ok(())
}
