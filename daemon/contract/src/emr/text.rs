//! Text for other systems: nothing in it that they refuse, nothing in it that they would take for markup.

use crate::ids::Lang;

/// As FHIR's `string` has it: its published pattern takes no white space but blanks, tabs and line breaks (an
/// ideographic space is refused), and its prose no control characters. A blank stands for either. None: nothing is left.
pub fn plain(text: &str) -> Option<String> {
    let taken = |c: char| matches!(c, '\t' | '\n' | '\r');
    let strange = |c: char| c.is_control() || c.is_whitespace() || c == '\u{feff}';
    let plain: String = text.chars().map(|c| if strange(c) && !taken(c) { ' ' } else { c }).collect();
    Some(plain.trim().to_owned()).filter(|plain| !plain.is_empty())
}

/// As FHIR's `code` has it: single blanks inside, none around. Also a text in one line.
pub fn one_line(text: &str) -> Option<String> {
    plain(text).map(|plain| plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// For a URI: letters, digits and what RFC 3986 leaves unreserved.
pub fn percent(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|b| if keep(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// As the text of an XHTML element.
pub fn xhtml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// One line that GitHub Flavored Markdown shows as it is: every mark is escaped that has a meaning anywhere in it. Bare
/// addresses become links even so in some readers; a zero-width space keeps them apart.
pub fn markdown(text: &str) -> String {
    const HARMLESS: &str = ",;'\"%?/";
    let line = one_line(text).unwrap_or_default();
    let mut shown = String::new();
    for (at, c) in line.char_indices() {
        if c.is_ascii_punctuation() && !HARMLESS.contains(c) {
            shown.push('\\');
        }
        shown.push(c);
        let (before, after) = (&line[..at], &line[at + c.len_utf8()..]);
        let www = c == '.' && before.get(before.len().wrapping_sub(3)..).is_some_and(|w| w.eq_ignore_ascii_case("www"));
        if c == '@' || www || (c == ':' && after.starts_with('/')) {
            shown.push('\u{200b}');
        }
    }
    shown
}

/// At most `max` UTF-16 units, which is what a browser counts and never fewer than characters. Cut between words where
/// a word ends near the limit, and never inside a character; what was cut is replaced by `…`.
pub fn cut(text: &str, max: usize) -> String {
    let line = one_line(text).unwrap_or_default();
    if units(&line) <= max {
        return line;
    }
    let mut end = 0;
    for (at, c) in line.char_indices() {
        if units(&line[..at]) + c.len_utf16() + 1 > max {
            break;
        }
        end = at + c.len_utf8();
    }
    let kept = &line[..end];
    let word_end = kept.rfind(' ').filter(|at| !line[end..].starts_with(' ') && units(&kept[*at..]) <= 20);
    format!("{}…", kept[..word_end.unwrap_or(end)].trim_end())
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// `甲、乙` or `a, b`.
pub fn listed<T: AsRef<str>>(lang: Lang, entries: impl IntoIterator<Item = T>) -> String {
    let entries: Vec<String> = entries.into_iter().filter_map(|entry| one_line(entry.as_ref())).collect();
    entries.join(match lang {
        Lang::Zh => "、",
        Lang::En => ", ",
    })
}

/// `名：内容` or `name: what`.
pub fn labelled(lang: Lang, label: &str, text: &str) -> String {
    match lang {
        Lang::Zh => format!("{label}：{text}"),
        Lang::En => format!("{label}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fhir_refuses_becomes_a_blank() {
        assert_eq!(plain("头痛\u{3000}三天\u{0}\n吐\u{a0}").as_deref(), Some("头痛 三天 \n吐"));
        assert_eq!([plain(""), plain(" \u{2028}\u{feff}\t")], [None, None]);
        assert_eq!(one_line(" A15 \u{3000}\n - A19 ").as_deref(), Some("A15 - A19"));
    }

    #[test]
    fn markdown_shows_every_mark_and_links_nothing() {
        assert_eq!(markdown("# a_b <i>*x*</i>\n- [y](z) `q`"), r"\# a\_b \<i\>\*x\*\</i\> \- \[y\]\(z\) \`q\`");
        assert_eq!(markdown("37.9 ℃，1. 查"), r"37\.9 ℃，1\. 查");
        assert_eq!(markdown("见 http://a.cn"), "见 http\\:\u{200b}//a\\.cn");
        assert_eq!(markdown("WWW.a.cn a@b.cn"), "WWW\\.\u{200b}a\\.cn a\\@\u{200b}b\\.cn");
        assert_eq!(markdown("胸\u{3000}痛"), "胸 痛");
    }

    #[test]
    fn a_cut_ends_at_a_word_or_a_character() {
        assert_eq!(cut("胸痛", 2), "胸痛");
        assert_eq!(cut("胸痛三天", 3), "胸痛…");
        assert_eq!(cut("𠮷𠮷𠮷", 4), "𠮷…", "four units hold one of two units, and the dots");
        assert_eq!(cut("upper bleed now", 12), "upper bleed…");
        assert_eq!(cut("upper bleeding", 12), "upper…");
        assert_eq!(cut("cut at a\nline", 99), "cut at a line");
        for max in 1..40 {
            assert!(units(&cut("a 𠮷 long 布鲁氏菌病 text without any end 𠮷𠮷𠮷𠮷𠮷𠮷", max)) <= max, "{max}");
        }
    }
}
