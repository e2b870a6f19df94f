//! The frame of every page that the tools write: it loads nothing, whatever comes from cases or models is escaped by `maud`,
//! and the policy says so once more, so that nothing would run even if something were not.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The look that pages share.
pub const STYLE: &str = include_str!("evaluate/page/style.css");

/// `more`: what the policy allows beside inline styles; nothing, or a script by its nonce.
pub fn page(title: &str, styles: &[&str], more: &str, body: Markup) -> Markup {
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'{more}");
    html! {
        (DOCTYPE)
        html lang="zh-CN" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { (title) }
                @for style in styles { style { (PreEscaped(style)) } }
            }
            body { (body) }
        }
    }
}
