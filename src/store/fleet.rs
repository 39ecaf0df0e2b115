//! Several processes on one database: leases of runs, what may be taken, who works, and who is woken.

mod leases;
pub mod notices;
pub mod takeable;
pub mod workers;

pub use leases::LeaseClaim;
