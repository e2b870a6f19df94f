//! `consultd verify`: is every answer and review still what it was when it was sealed? Reads beside a running daemon.

use crate::{
    Exit, key, settings,
    store::{Said, Store, StoredLink},
};
use contract::{answer::Audit, bounded::Hex};
use decide::seal::{self, Chain, LinkKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// Walks the chain over all answers and reviews and names the first broken link. The daemon may be running.
///
/// The last links of a chain can be cut off without a trace in the rest: write down elsewhere, now and then, the end that
/// this command prints, and name it with --link later.
///
/// Exit status: 0 when every link is good, 1 when one is broken or a named one is missing, 74 when the store cannot be
/// read.
#[derive(clap::Args)]
pub struct Verify {
    #[arg(long, default_value = settings::DEFAULT_PATH)]
    config: PathBuf,
    /// A link that was printed earlier and must still be there; may be given several times.
    #[arg(long = "link", value_name = "NUMBER:HASH")]
    links: Vec<Named>,
}

impl Verify {
    pub fn main(self) -> Exit {
        let settings = match settings::load(&self.config) {
            Ok(settings) => settings,
            Err(faults) => {
                eprintln!("{}: {faults}", self.config.display());
                return Exit::Settings;
            }
        };
        match verify(&settings.state_dir, self.links) {
            Ok(Walk { broken: Some(why), .. }) => {
                println!("BROKEN at {why}");
                Exit::Broken
            }
            Ok(Walk { missing, links, .. }) if !missing.is_empty() => {
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                println!("MISSING: {}; the chain has {links} links, each good in itself", missing.join(", "));
                Exit::Broken
            }
            Ok(Walk { links, gone, end, .. }) => {
                println!("{links} links, all good; the text of {gone} is no longer kept");
                println!("the chain ends with link {}", Named(end));
                Exit::Done
            }
            Err(fault) => {
                eprintln!("consultd verify: {}", engine::chain(&*fault));
                Exit::Store
            }
        }
    }
}

/// A link as it is written down: its number and its hash.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Named(Chain);

impl std::fmt::Display for Named {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{}:{}", self.0.seq, Hex(self.0.hash))
    }
}

impl FromStr for Named {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a link is its number, a colon and the 64 digits of its hash";
        let (seq, hash) = text.split_once(':').ok_or(FORM)?;
        let Hex(hash) = hash.parse().map_err(|_| FORM)?;
        Ok(Self(Chain { seq: seq.parse().map_err(|_| FORM)?, hash }))
    }
}

/// What the walk has found so far.
struct Walk {
    key: Hex<32>,
    links: u64,
    /// Links whose text retention has taken.
    gone: u64,
    end: Chain,
    broken: Option<String>,
    /// Of those that were named.
    missing: Vec<Named>,
}

fn verify(state_dir: &Path, named: Vec<Named>) -> Result<Walk, Box<dyn std::error::Error>> {
    let store = Store::read(state_dir)?;
    let key = key::read(state_dir)?.ok_or("this box has no key yet")?.public();
    let mut walk = Walk { key, links: 0, gone: 0, end: Chain::default(), broken: None, missing: named };
    walk.missing.retain(|named| named.0 != walk.end); // the end of an empty chain
    store.chain(|stored| walk.step(&stored))?;
    let unlinked = store.unlinked()?.map(|id| format!("the answer to {id}: the chain has no link of it"));
    walk.broken = walk.broken.or(unlinked);
    store.said(|said| walk.broken = walk.broken.take().or_else(|| out_of_place(said)))?;
    Ok(walk)
}

/// What both sealed messages have of the seal.
#[derive(Deserialize)]
struct Sealed {
    audit: Audit,
    sig: Hex<64>,
}

/// The chain vouches for the last message of a case. So no other may pass for an answer.
fn out_of_place(said: &Said) -> Option<String> {
    #[derive(Deserialize)]
    struct Word {
        r#type: String,
    }
    let word = serde_json::from_slice(&said.body).map_or_else(|_| String::new(), |Word { r#type }| r#type);
    let why = match (said.is_last, &*word) {
        (true, "answer") if !said.is_linked => "the chain has no link of the answer to it",
        (true, _) | (false, "accepted" | "alert") => return None,
        (false, _) => "a message stands before its last one that does not belong there",
    };
    Some(format!("{}: {why}", said.id))
}

impl Walk {
    fn step(&mut self, stored: &StoredLink) {
        if self.broken.is_some() {
            return;
        }
        if let Err(why) = self.check(stored) {
            let kind = match stored.link.kind {
                LinkKind::Answer => "the answer to",
                LinkKind::Review => "a review of",
            };
            self.broken = Some(format!("link {}, {kind} {}: {why}", stored.link.seq, stored.link.id));
        }
        self.links += 1;
        self.end = Chain { seq: stored.link.seq, hash: stored.link.hash };
        self.missing.retain(|named| named.0 != self.end);
    }

    fn check(&mut self, stored: &StoredLink) -> Result<(), &'static str> {
        let link = &stored.link;
        if link.seq != self.end.seq + 1 {
            return Err("the links before it are missing");
        }
        if link.hash != seal::hang(&self.end.hash, &link.body) {
            return Err("it does not hang on the one before it");
        }
        let Some(message) = &stored.sealed else {
            self.gone += 1;
            return if stored.gone { Ok(()) } else { Err("its text is missing, and was not yet to be deleted") };
        };
        let (context, body) = match link.kind {
            LinkKind::Answer => (seal::ANSWER, seal::body(message)),
            LinkKind::Review => (seal::REVIEW, stored.review.clone()),
        };
        let body = body.ok_or("what is stored has no seal")?;
        if link.body != <[u8; 32]>::from(Sha256::digest(&body)) {
            return Err("what is stored is not what was sealed");
        }
        let sealed: Sealed = serde_json::from_slice(message).map_err(|_| "what is stored has no seal")?;
        if sealed.audit.hash != Hex(link.hash) || sealed.audit.seq != link.seq {
            return Err("its own seal names another link");
        }
        match seal::signed(&self.key, context, &link.hash, &sealed.sig) {
            true => Ok(()),
            false => Err("this box did not sign it"),
        }
    }
}
