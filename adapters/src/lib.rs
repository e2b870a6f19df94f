//! What `adapterctl` does with files from outside: a trained adapter becomes one that the box loads. A library, so that
//! tests can throw files at it that no folder ever held.

pub mod combine;
pub mod convert;
pub mod gguf;
pub mod init;
mod peft;
