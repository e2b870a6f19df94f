//! The chain over all answers and reviews of a box, and the box's signature under each link.
//!
//! ```text
//!   answer as sent   {"v":1,"type":"answer", … ,"patient_text":null ,"audit":{"seq","prev_hash","hash"},"sig":…}
//!                    ╰──────────────── body, closed by } ──────────╯
//!   hash       SHA-256( prev_hash ‖ SHA-256(body) )          prev_hash of the first link: 32 zero bytes
//!   sig        Ed25519( "consultd/1/answer " ‖ hash )         of a review: "consultd/1/review "
//! ```
//! The body is a piece of the message's own bytes: nobody needs a canonical JSON to check it. Of a review the body is the
//! review's bytes as they are stored. Whoever changes, drops or adds one link must make all later ones anew, and cannot
//! sign them. The last links can be cut off unseen; so the end of the chain should be noted elsewhere now and then.

use crate::message;
use contract::{answer::Audit, bounded::Hex, ids::RequestId, review::Reviewed};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

pub const ANSWER: &[u8] = b"consultd/1/answer ";
pub const REVIEW: &[u8] = b"consultd/1/review ";

/// Signs. Its `Debug` shows the public half only.
#[derive(Debug, Clone)]
pub struct Seal {
    key: SigningKey,
}

/// Where the chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    /// Links so far.
    pub seq: u64,
    pub hash: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    Answer,
    Review,
}

/// One link, as the store keeps it; it outlives the text that it vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub seq: u64,
    pub kind: LinkKind,
    pub id: RequestId,
    pub body: [u8; 32],
    pub hash: [u8; 32],
}

impl Chain {
    pub(crate) fn add(&mut self, link: Option<&Link>) {
        if let Some(link) = link {
            *self = Self { seq: link.seq, hash: link.hash };
        }
    }

    /// The link that these bytes make, hung on this end.
    pub fn next(&self, kind: LinkKind, id: RequestId, body: &[u8]) -> Link {
        let body: [u8; 32] = Sha256::digest(body).into();
        Link { seq: self.seq + 1, kind, id, body, hash: hang(&self.hash, &body) }
    }
}

/// The hash of a link, of the one before it and of its body's.
pub fn hang(prev: &[u8; 32], body: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(prev).chain_update(body).finalize().into()
}

impl Seal {
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(secret) }
    }

    pub fn public(&self) -> Hex<32> {
        Hex(self.key.verifying_key().to_bytes())
    }

    /// The answer with its link and signature appended.
    pub(crate) fn answer(&self, chain: &Chain, id: RequestId, body: &[u8]) -> (Vec<u8>, Link) {
        let link = chain.next(LinkKind::Answer, id, body);
        let (audit, sig) = (audit(chain, &link), self.sign(ANSWER, &link));
        let open = body.strip_suffix(b"}").expect("an answer is a JSON object");
        let tail = [b",\"audit\":", &*message::bytes(&audit), b",\"sig\":", &*message::bytes(&sig), b"}"].concat();
        ([open, &tail].concat(), link)
    }

    /// What is said to a review, with the link that its bytes make.
    pub(crate) fn review(&self, chain: &Chain, bytes: &[u8], reply: Reviewed) -> (Vec<u8>, Link) {
        let link = chain.next(LinkKind::Review, reply.id, bytes);
        let reply = Reviewed { audit: Some(audit(chain, &link)), sig: Some(self.sign(REVIEW, &link)), ..reply };
        (message::bytes(&reply), link)
    }

    /// A name that only this box can trace back, the same each time: Ed25519 gives everybody else random bytes.
    pub fn pseudonym(&self, of: &str, name: &[u8]) -> String {
        let signature = self.key.sign(&[b"consultd/1/pseudonym ", of.as_bytes(), b" ", name].concat());
        Sha256::digest(signature.to_bytes())[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sign(&self, context: &[u8], link: &Link) -> Hex<64> {
        Hex(self.key.sign(&[context, &link.hash].concat()).to_bytes())
    }
}

fn audit(chain: &Chain, link: &Link) -> Audit {
    Audit { seq: link.seq, prev_hash: Hex(chain.hash), hash: Hex(link.hash) }
}

/// The body of a sealed answer: what its link vouches for. None where no seal is found.
pub fn body(sealed: &[u8]) -> Option<Vec<u8>> {
    const MARK: &[u8] = b",\"audit\":{";
    let at = sealed.windows(MARK.len()).rposition(|window| window == MARK)?;
    Some([&sealed[..at], b"}"].concat())
}

/// Whether the box of this key signed this hash.
pub fn signed(key: &Hex<32>, context: &[u8], hash: &[u8; 32], sig: &Hex<64>) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(&key.0) else { return false };
    key.verify_strict(&[context, hash].concat(), &Signature::from_bytes(&sig.0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_the_same_each_time_and_another_in_another_box() {
        let (seal, other) = (Seal::new(&[7; 32]), Seal::new(&[8; 32]));
        let name = seal.pseudonym("case", b"1");
        assert_eq!((name.len(), &name), (32, &seal.pseudonym("case", b"1")));
        for another in [seal.pseudonym("case", b"2"), seal.pseudonym("clinician", b"1"), other.pseudonym("case", b"1")]
        {
            assert_ne!(name, another);
        }
    }

    #[test]
    fn an_answers_seal_is_checked_from_its_bytes_alone_and_any_change_breaks_it() {
        let seal = Seal::new(&[7; 32]);
        let chain = Chain { seq: 4, hash: [9; 32] };
        let id = RequestId(Default::default());
        let text = r#"{"type":"answer","note":"says \",\"audit\":{ itself","patient_text":null}"#.as_bytes();
        let (sealed, link) = seal.answer(&chain, id, text);
        assert_eq!(body(&sealed).as_deref(), Some(text));
        assert_eq!((link.seq, link.hash), (5, hang(&[9; 32], &Sha256::digest(text).into())));
        let value: serde_json::Value = serde_json::from_slice(&sealed).expect("still JSON");
        let sig: Hex<64> = value["sig"].as_str().expect("a text").parse().expect("a signature");
        assert!(signed(&seal.public(), ANSWER, &link.hash, &sig));
        assert!(!signed(&seal.public(), REVIEW, &link.hash, &sig), "an answer's signature is no review's");
        assert!(!signed(&Seal::new(&[8; 32]).public(), ANSWER, &link.hash, &sig), "another box");
        for at in 0..text.len() {
            let mut other = text.to_vec();
            other[at] ^= 1;
            assert_ne!(chain.next(LinkKind::Answer, id, &other).hash, link.hash);
        }
    }
}
