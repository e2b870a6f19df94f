//! `consultd verify`: is every answer and review still what it was when it was sealed? Reads beside a running daemon.

use crate::{
    Exit, key, settings,
    store::{Store, StoredLink},
};
use contract::{answer::Audit, bounded::Hex};
use decide::seal::{self, Chain, LinkKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::Path;

pub fn main(config: &Path) -> Exit {
    let settings = match settings::load(config) {
        Ok(settings) => settings,
        Err(faults) => {
            eprintln!("{}: {faults}", config.display());
            return Exit::Settings;
        }
    };
    match verify(&settings.state_dir) {
        Ok(Walk { broken: None, links, gone, end, .. }) => {
            println!("{links} links, all good; the text of {gone} is no longer kept");
            println!("the chain ends with link {} {}", end.seq, Hex(end.hash));
            Exit::Done
        }
        Ok(Walk { broken: Some(why), .. }) => {
            println!("BROKEN at {why}");
            Exit::Broken
        }
        Err(fault) => {
            eprintln!("consultd verify: {}", engine::chain(&*fault));
            Exit::Store
        }
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
}

fn verify(state_dir: &Path) -> Result<Walk, Box<dyn std::error::Error>> {
    let store = Store::read(state_dir)?;
    let key = key::read(state_dir)?.ok_or("this box has no key yet")?.public();
    let mut walk = Walk { key, links: 0, gone: 0, end: Chain::default(), broken: None };
    store.chain(|stored| walk.step(&stored))?;
    Ok(walk)
}

/// What both sealed messages have of the seal.
#[derive(Deserialize)]
struct Sealed {
    audit: Audit,
    sig: Hex<64>,
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
            return Ok(());
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
