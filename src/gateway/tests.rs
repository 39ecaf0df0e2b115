//! Recordings of real providers, and the gateway over loopback before a fake one.

mod recorded;
mod world;
mod live;
mod failures;
mod cached;
mod shelf;
mod guarded;
mod raw;
mod cuts;
mod counted;
mod priced;
mod meant;
mod broken;
mod fallen;
mod traced;
mod received;
mod queued;
mod mirrored;
mod batched;
mod reported;
mod summed;
