//! Secrets at rest, under real key holders where `deploy/setup kms` has installed them, and on their way
//! to stages and clients.

#[path = "secrets/keys.rs"]
mod keys;
#[path = "secrets/place.rs"]
mod place;
#[path = "secrets/reading.rs"]
mod reading;
#[path = "secrets/rotation.rs"]
mod rotation;
