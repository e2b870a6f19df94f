//! Topics. The tablet's name is the last level, and nothing about a patient ever is.

use crate::ids::TabletName;

pub const REQUESTS: &str = "consult/1/req/+";
pub const RESPONSES: &str = "consult/1/res/+";
pub const RECEIPTS: &str = "consult/1/receipt/+";
pub const REVIEWS: &str = "consult/1/review/+";
pub const ADMINS: &str = "consult/1/admin/+";
/// The box to itself: what it does not hear back, it sent on a connection that carries nothing.
pub const BOX_ECHO: &str = "consult/1/echo";
pub const BOX_STATUS: &str = "consult/1/box/status";
pub const BOX_INFO: &str = "consult/1/box/info";
pub const BOX_LOAD: &str = "consult/1/box/load";

pub fn request(tablet: &TabletName) -> String {
    format!("consult/1/req/{tablet}")
}
pub fn response(tablet: &TabletName) -> String {
    format!("consult/1/res/{tablet}")
}
pub fn receipt(tablet: &TabletName) -> String {
    format!("consult/1/receipt/{tablet}")
}
pub fn review(tablet: &TabletName) -> String {
    format!("consult/1/review/{tablet}")
}
/// An admin has a name and a `res` topic like a tablet.
pub fn admin(admin: &TabletName) -> String {
    format!("consult/1/admin/{admin}")
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    Request(TabletName),
    Receipt(TabletName),
    Review(TabletName),
    Admin(TabletName),
}

/// What a topic that the box subscribes to means; `None` for a name that is no tablet's.
pub fn inbound(topic: &str) -> Option<Inbound> {
    let rest = topic.strip_prefix("consult/1/")?;
    let (branch, name) = rest.split_once('/')?;
    let tablet = TabletName::new(name)?;
    match branch {
        "req" => Some(Inbound::Request(tablet)),
        "receipt" => Some(Inbound::Receipt(tablet)),
        "review" => Some(Inbound::Review(tablet)),
        "admin" => Some(Inbound::Admin(tablet)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_read_back() {
        let tablet = TabletName::new("clinic-7").expect("a name");
        assert_eq!(inbound(&request(&tablet)), Some(Inbound::Request(tablet.clone())));
        assert_eq!(inbound(&receipt(&tablet)), Some(Inbound::Receipt(tablet.clone())));
        assert_eq!(inbound(&review(&tablet)), Some(Inbound::Review(tablet.clone())));
        assert_eq!(inbound(&admin(&tablet)), Some(Inbound::Admin(tablet)));
        for odd in ["consult/1/req/", "consult/1/req/a/b", "consult/1/req/王医生", "consult/2/req/a", "x"] {
            assert_eq!(inbound(odd), None, "{odd}");
        }
    }
}
