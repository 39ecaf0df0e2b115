//! Secrets: masking them in everything that leaves an attempt. (Sealing and key providers come with
//! the server.)

pub mod mask;

pub use mask::Masker;
