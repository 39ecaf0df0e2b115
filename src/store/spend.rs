//! What calls to models cost, and what budgets allow, held over many processes: each has *grants*, parts of
//! accounts that are set aside for it, and spends those without asking. `spent + granted` of an account is
//! never less than what was spent of it, whatever dies when.

pub mod budgets;
pub mod accounts;
pub mod spenders;
pub mod batches;
pub mod refused;
pub mod calls;
pub mod lost;
pub mod sums;
pub mod points;
pub mod hours;
pub mod alerts;
pub mod requests;
