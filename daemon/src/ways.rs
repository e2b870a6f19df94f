//! Where and how an MQTT 5 tablet wants its replies: its `response-topic` and `correlation-data`. Comfort, not a
//! promise: kept in memory only, so after a restart replies go to the tablet's `res` topic without them until the
//! tablet says something about that case again.

use contract::{
    ids::{RequestId, TabletName},
    topic,
};
use serde::Deserialize;
use std::collections::VecDeque;

/// Of correlation data and of a response topic, in bytes. A UUID as text is 36. What is longer is not kept.
const BYTES_MAX: usize = 128;
/// As many cases as one tablet may have under way, twice over.
const PER_TABLET_MAX: usize = 64;
const ALL_MAX: usize = 1024;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Inside the tablet's own branch, or nothing.
    pub topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
}

impl Way {
    /// What of the properties is honoured. A topic outside the tablet's own branch would make the box write, with its
    /// rights, where the tablet may not; and brokers log topics, so none that could be a sentence.
    pub fn wanted(tablet: &TabletName, response_topic: Option<&str>, correlation: Option<&[u8]>) -> Self {
        let own = |topic: &&str| {
            topic.len() <= BYTES_MAX
                && topic.strip_prefix(&topic::response(tablet)).is_some_and(|rest| rest.starts_with('/'))
                && topic.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/'))
        };
        Self {
            topic: response_topic.filter(own).map(str::to_owned),
            correlation: correlation.filter(|c| c.len() <= BYTES_MAX).map(<[u8]>::to_vec),
        }
    }

    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// The ways that differ from the usual one, the oldest first.
#[derive(Debug, Default)]
pub struct Ways(VecDeque<(TabletName, Option<RequestId>, Way)>);

impl Ways {
    /// From now on what is said to this tablet about this id goes this way. No id: what is said to a message from which
    /// none could be read. A message without properties does not change the way of its case.
    pub fn keep(&mut self, tablet: &TabletName, id: Option<RequestId>, way: Way) {
        if way.is_usual() && id.is_some() {
            return;
        }
        self.0.retain(|(t, i, _)| (t, i) != (tablet, &id));
        if way.is_usual() {
            return;
        }
        if self.0.iter().filter(|(t, ..)| t == tablet).count() >= PER_TABLET_MAX {
            let oldest = self.0.iter().position(|(t, ..)| t == tablet);
            oldest.and_then(|at| self.0.remove(at));
        }
        if self.0.len() >= ALL_MAX {
            self.0.pop_front();
        }
        self.0.push_back((tablet.clone(), id, way));
    }

    /// For one of our own messages.
    pub fn of(&self, tablet: &TabletName, message: &[u8]) -> Way {
        #[derive(Deserialize)]
        struct About {
            id: Option<RequestId>,
        }
        if self.0.iter().all(|(t, ..)| t != tablet) {
            return Way::default();
        }
        // Our own, and from the store: what the disk has made unreadable goes the usual way.
        let Ok(About { id }) = serde_json::from_slice(message) else { return Way::default() };
        self.0.iter().find(|(t, i, _)| (t, *i) == (tablet, id)).map(|(.., way)| way.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tablet(name: &str) -> TabletName {
        TabletName::new(name).expect("a name")
    }

    fn message(id: &str) -> (RequestId, Vec<u8>) {
        let id = format!("00000000-0000-4000-8000-{id:0>12}");
        (serde_json::from_value(id.clone().into()).expect("an id"), format!(r#"{{"v":1,"id":"{id}"}}"#).into())
    }

    #[test]
    fn only_topics_of_the_tablets_own_branch() {
        let t1 = tablet("t1");
        let of = |topic: &str| Way::wanted(&t1, Some(topic), Some(b"c"));
        assert_eq!(of("consult/1/res/t1/ward/2").topic.as_deref(), Some("consult/1/res/t1/ward/2"));
        let long = format!("consult/1/res/t1/{}", "x".repeat(BYTES_MAX));
        for other in [
            "consult/1/res/t12",
            "consult/1/res/t1",
            "consult/1/res/t1/#",
            "consult/1/res/t2/x",
            "consult/1/res/t1/胸闷",
            "consult/1/res/t1/chest pain",
            "",
            &long,
        ] {
            assert_eq!(of(other).topic, None, "{other}");
        }
        assert_eq!(Way::wanted(&t1, None, Some(&[0; BYTES_MAX + 1])), Way::default());
    }

    #[test]
    fn a_way_is_of_one_tablet_and_one_case() {
        let (t1, t2) = (tablet("t1"), tablet("t2"));
        let ((one, said_of_one), (_, said_of_two)) = (message("1"), message("2"));
        let way = Way::wanted(&t1, Some("consult/1/res/t1/a"), Some(b"c"));
        let mut ways = Ways::default();
        ways.keep(&t1, Some(one), way.clone());
        ways.keep(&t1, Some(one), Way::default());
        assert_eq!(ways.of(&t1, &said_of_one), way);
        assert_eq!(ways.of(&t1, &said_of_two), Way::default());
        assert_eq!(ways.of(&t2, &said_of_one), Way::default());
        assert_eq!(ways.of(&t1, b"\xff{"), Way::default(), "what the disk has damaged");
        // What has no id is said once.
        ways.keep(&t1, None, way.clone());
        assert_eq!(ways.of(&t1, br#"{"v":1,"id":null}"#), way);
        ways.keep(&t1, None, Way::default());
        assert_eq!(ways.of(&t1, br#"{"v":1}"#), Way::default());
    }

    #[test]
    fn a_noisy_tablet_pushes_out_its_own_ways_only() {
        let (noisy, quiet) = (tablet("noisy"), tablet("quiet"));
        let way = Way { correlation: Some(b"c".to_vec()), topic: None };
        let (first, said_of_first) = message("0");
        let mut ways = Ways::default();
        ways.keep(&quiet, Some(first), way.clone());
        (0..=PER_TABLET_MAX).for_each(|n| ways.keep(&noisy, Some(message(&n.to_string()).0), way.clone()));
        assert_eq!(ways.of(&quiet, &said_of_first), way);
        assert_eq!(ways.of(&noisy, &said_of_first), Way::default());
        assert_eq!(ways.0.len(), PER_TABLET_MAX + 1);
    }
}
