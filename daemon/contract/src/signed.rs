//! Whom a box trusts to have made an adapter: minisign keys, checked without clock and without network.
//!
//! ```text
//! manifest.json          holds the hash of every other file
//! manifest.json.minisig  signs its bytes: `minisign -Vm manifest.json -P RW…` says the same as we do
//! ```

pub use minisign_verify::PublicKey;
use minisign_verify::Signature;

/// Ending of a signature's file name.
pub const SIGNATURE: &str = ".minisig";

/// Its secret half lies open in the repository (`adapters/demo/demo.key`), so that everybody can try everything. It says nothing
/// about who made an adapter: a box takes it only where its settings say that it is a demonstration.
pub const DEMO_KEY: &str = "RWSiUF3hupCKD120Jdi2dbvp1oSFjQan5AWSYoWZyVk0UQ81kWD/KJUK";

/// Public keys, and whether the demonstration's is among them.
#[derive(Debug, Clone, Default)]
pub struct Trusted {
    keys: Vec<PublicKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error("its signature is damaged")]
    Damaged,
    #[error("signed with the demonstration's key, which anybody has; only a demonstration takes it")]
    Demonstration,
    #[error("not signed by any of the trusted keys, or changed after it was signed")]
    Stranger,
}

/// A public key as minisign prints it: `RW` and 54 more characters.
pub fn key(text: &str) -> Result<PublicKey, &'static str> {
    PublicKey::from_base64(text.trim()).map_err(|_| "not a minisign public key (RW…, 56 characters)")
}

impl Trusted {
    pub fn new(keys: impl IntoIterator<Item = PublicKey>, demonstration: bool) -> Self {
        let demo = demonstration.then(demo_key);
        Self { keys: keys.into_iter().chain(demo).collect() }
    }

    /// Whether one of the keys has signed these bytes, the signature's own comment included.
    pub fn check(&self, signed: &[u8], signature: &str) -> Result<(), Untrusted> {
        let signature = Signature::decode(signature).map_err(|_| Untrusted::Damaged)?;
        // Without the old form, which hashes nothing: minisign has not made it by default since 2020.
        let by = |key: &PublicKey| key.verify(signed, &signature, false).is_ok();
        match self.keys.iter().any(by) {
            true => Ok(()),
            false if by(&demo_key()) => Err(Untrusted::Demonstration),
            false => Err(Untrusted::Stranger),
        }
    }
}

fn demo_key() -> PublicKey {
    key(DEMO_KEY).expect("a test reads it")
}
