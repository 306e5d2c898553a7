//! Mirrors of the documents that cross the boundary, and the codecs of the protocols. Nothing else knows a wire format.
//!
//! The Python side (`fairlead.schema`) owns every document and its defaults: these structs refuse unknown fields and
//! have no defaults, so that a default cannot diverge.

pub mod bundle;
pub mod check;
pub mod oip;
pub mod options;
pub mod records;
pub mod scan;
pub mod snapshot;
pub mod telemetry;
