//! What a run is made from on this machine: the repository a person stands in, its pipeline file,
//! the facts of the run, and its secrets.

pub mod files;
pub mod pipeline_file;
pub mod include;
pub mod facts;
pub mod secrets;
pub mod missing_secrets;
