//! Stored forms that `consultd verify` and tablets read back: sealed messages. A body is found again whatever it says
//! itself, and what is no seal is none, without a panic.

use contract::{answer::Audit, bounded::Hex};
use decide::seal;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Sealed {
    audit: Audit,
    sig: Hex<64>,
}

pub fn holds(bytes: &[u8]) -> bool {
    if let Some(body) = seal::body(bytes) {
        assert!(bytes.starts_with(&body[..body.len() - 1]) && body.ends_with(b"}"));
    }
    let sealed = serde_json::from_slice(bytes);
    if let Ok(Sealed { audit, sig }) = &sealed {
        // Hash and previous hash stand in for keys, of which few are points of the curve.
        for key in [audit.hash, audit.prev_hash] {
            let _ = seal::signed(&key, seal::ANSWER, &audit.hash.0, sig);
        }
        crate::survives(audit, |bytes| serde_json::from_slice(bytes).ok());
    }
    // Any object can be sealed, and its body comes back, even where it speaks of a seal.
    if let Some(open) = bytes.strip_suffix(b"}") {
        let hash = Hex(seal::hang(&[0; 32], &Sha256::digest(bytes).into()));
        let tail = format!(
            r#","audit":{{"seq":1,"prev_hash":"{}","hash":"{hash}"}},"sig":"{}"}}"#,
            Hex([0; 32]),
            Hex([0; 64])
        );
        assert_eq!(seal::body(&[open, tail.as_bytes()].concat()).as_deref(), Some(bytes));
    }
    sealed.is_ok()
}
