//! YAML files for people: strict about types, and with a hint where an editor or a habit gets in the way.

use serde::de::DeserializeOwned;
use std::path::Path;

pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse(&text).map_err(|e| format!("{}: {e}", path.display()))
}

pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(fault) = text.lines().enumerate().find_map(|(at, line)| unusable(line).map(|hint| (at + 1, hint))) {
        return Err(format!("line {}: {}", fault.0, fault.1));
    }
    serde_saphyr::from_str(text).map_err(|e| e.to_string())
}

/// What YAML reads without a word and nobody meant. Comments may hold what they like.
fn unusable(line: &str) -> Option<&'static str> {
    let said = line.split(" #").next().unwrap_or(line);
    if said.trim_start().starts_with('#') {
        return None;
    }
    if said.contains(['“', '”', '‘', '’', '„']) {
        return Some("curly quotes would become part of the value: write \" or '");
    }
    if said.trim_start().starts_with('\t') {
        return Some("a tab: YAML is indented by blanks");
    }
    // A key in front of a full-width colon is no key.
    let word = said.trim_start().split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    if !word.is_empty() && said.trim_start()[word.len()..].starts_with('：') {
        return Some("a full-width colon behind the key: write : and a blank");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Some {
        rate: f64,
        name: String,
        #[serde(default)]
        n: u32,
    }

    fn some(text: &str) -> Result<Some, String> {
        parse(text)
    }

    #[test]
    fn numbers_are_numbers_however_they_are_written() {
        for rate in ["2e-4", "2E-4", "0.0002", "2.0e-4", "+2e-4"] {
            assert_eq!(some(&format!("rate: {rate}\nname: a")).expect(rate).rate, 2e-4, "{rate}");
        }
        for wrong in ["two", "yes", "[2e-4]", "~", ""] {
            let said = some(&format!("rate: {wrong}\nname: a")).map(|it| it.rate);
            assert!(said.is_err(), "{wrong} read as {said:?}");
        }
        assert!(some("rate: 1\nname: a\nn: 8.5").is_err() && some("rate: 1\nname: a\nn: -1").is_err());
    }

    #[test]
    fn what_an_editor_makes_of_it_is_told_with_its_line() {
        let said = some("rate: 1\nname: “a”").expect_err("curly");
        assert!(said.contains("line 2") && said.contains("curly"), "{said}");
        assert!(some("rate：1\nname: a").expect_err("full width").contains("full-width"));
        assert!(some("rate: 1\n\tname: a").expect_err("tab").contains("tab"));
        assert!(some("# “quoted” in a comment\nrate: 1 # “here”\nname: a").is_ok());
    }

    #[test]
    fn an_unknown_or_repeated_key_is_refused_by_name() {
        let said = some("rate: 1\nname: a\nlearning_rat: 3").expect_err("unknown");
        assert!(said.contains("learning_rat"), "{said}");
        assert!(some("rate: 1\nrate: 2\nname: a").is_err());
    }
}
