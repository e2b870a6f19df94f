//! Messages of tablets and admins, on all four topics.

use crate::{survives, text};
use contract::{
    mask,
    reply::{ErrorCode, ErrorReply, Reply},
    request::{Consult, Refusal, Request, parse_admin, parse_receipt, parse_request, parse_review},
    topic,
};
use std::borrow::Cow;

pub fn holds(bytes: &[u8]) -> bool {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = topic::inbound(text);
    }
    let mut taken = false;
    match parse_request(bytes).inspect(|_| taken = true) {
        Ok(Request::Consult(consult)) => {
            survives(&consult, |bytes| consult_of(parse_request(bytes)));
            stored(&consult, bytes);
            text::judged(&consult.case);
        }
        Ok(Request::Cancel(cancel)) => survives(&cancel, |bytes| match parse_request(bytes) {
            Ok(Request::Cancel(cancel)) => Some(cancel),
            _ => None,
        }),
        Ok(Request::Resend(resend)) => survives(&resend, |bytes| match parse_request(bytes) {
            Ok(Request::Resend(resend)) => Some(resend),
            _ => None,
        }),
        Err(refusal) => said(refusal),
    }
    match parse_receipt(bytes).inspect(|_| taken = true) {
        Ok(receipt) => survives(&receipt, |bytes| parse_receipt(bytes).ok()),
        Err(refusal) => said(refusal),
    }
    match parse_review(bytes).inspect(|_| taken = true) {
        Ok(review) => survives(&review, |bytes| parse_review(bytes).ok()),
        Err(refusal) => said(refusal),
    }
    match parse_admin(bytes).inspect(|_| taken = true) {
        Ok(admin) => survives(&admin, |bytes| parse_admin(bytes).ok()),
        Err(refusal) => said(refusal),
    }
    taken
}

fn consult_of(read: Result<Request, Refusal>) -> Option<Consult> {
    match read {
        Ok(Request::Consult(consult)) => Some(consult),
        _ => None,
    }
}

/// What the daemon stores of a consult (`masked` in `daemon/src/run.rs`), and reads again after a restart.
fn stored(consult: &Consult, bytes: &[u8]) {
    let (kept, places) = mask::bytes(bytes);
    assert_eq!(places == 0, matches!(kept, Cow::Borrowed(_)), "{places} places");
    assert_eq!(mask::bytes(&kept).1, 0, "masked twice: {}", String::from_utf8_lossy(&kept));
    match parse_request(&kept) {
        Ok(Request::Consult(again)) => {
            let clocks = |consult: &Consult| (consult.deadline_s, consult.sent.as_ref().map(|sent| sent.mono_ms));
            assert_eq!((again.id, clocks(&again)), (consult.id, clocks(consult)));
            assert!(places > 0 || again == *consult);
        }
        Ok(_) => panic!("another message when masked"),
        // A code that reads like a telephone number is none any more, and a mask may be longer in bytes.
        Err(refusal) => {
            assert!(matches!(refusal.code, ErrorCode::BadField | ErrorCode::TooLarge), "{refusal:?}");
            assert!(places > 0);
        }
    }
}

/// A refusal can be said, and repeats nothing of the message (P9): our own details are English, patients' are not.
fn said(refusal: Refusal) {
    assert!(!refusal.detail.chars().any(|c| matches!(c, '\u{3400}'..='\u{9fff}')), "{refusal:?}");
    assert!(refusal.pointer.iter().all(|pointer| pointer.is_empty() || pointer.starts_with('/')), "{refusal:?}");
    let reply = ErrorReply::from(refusal);
    let bytes = serde_json::to_vec(&reply).expect("an error can be written");
    assert_eq!(Reply::parse(&bytes).expect("and read"), Reply::Error(reply));
}
