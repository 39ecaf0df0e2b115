//! Lives of runs, written as text: a plan and a script in, what followed out.

mod world;
mod running;
mod needs;
mod retries;
mod limits;
mod gates;
mod approvals;
mod cancelling;
mod groups;
mod leases;
mod reruns;
mod looking_ahead;
mod promises;
mod short_histories;
mod random_histories;
