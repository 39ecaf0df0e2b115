//! What executors with a real shell do.

