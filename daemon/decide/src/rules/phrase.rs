//! How the rule files write phrases, and how they are found: all words of all phrases in one pass over the text.
//!
//! ```text
//! 胸痛                    these characters
//! (左|右)(腿|脚)肿         one of these, then one of those
//! {belly}..{pain}         a word of the class `belly`, at most 20 bytes (6 Chinese characters, 3 English words),
//!                         a word of the class `pain`, all in one clause
//! {head}...{pain}         the same with at most 45 bytes
//! {head}{very?}{pain}     a word of `very` may stand between, or not
//! ```
//! A phrase is a row of word lists with a distance between each two. The lists' words go into one Aho-Corasick automaton;
//! a phrase is tried only where a word of its first list stands, and only if the text has words of all its lists.
//! English words are whole words; a plural `s` is allowed for.

use super::normal;
use aho_corasick::AhoCorasick;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

/// What a phrase speaks of: an index that the builder's caller gives out.
pub type Topic = usize;

/// Where a phrase was found, in bytes of the plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
    /// From the first part's end to the last one's start: a denial in there denies it as well.
    pub inner: (usize, usize),
}

/// A word list whose index is the set's; one list is one set, whoever names it.
type Set = u32;

struct Phrase {
    topic: Topic,
    first: Set,
    rest: Vec<Step>,
    /// One of its middle parts denies: 一天..没..尿. Then a denial inside says what the phrase says.
    denies: bool,
}

struct Step {
    set: Set,
    /// Bytes that may lie between the part before and this one.
    apart_max: usize,
}

pub struct Lexicon {
    automaton: AhoCorasick,
    /// Of each word: the sets that hold it.
    sets_of: Vec<Vec<Set>>,
    /// Of each set: the phrases that begin with it.
    beginning_with: Vec<Vec<Phrase>>,
    topics: usize,
}

/// A phrase that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PhraseFault {
    #[error("no class is named {0}")]
    Class(String),
    #[error("a bracket is open in {0}")]
    Bracket(String),
    #[error("{0} begins or ends with a distance, or says nothing")]
    Nothing(String),
    #[error("{0} has more than {WORDS_MAX} readings")]
    Large(String),
    #[error("the automaton of all words: {0}")]
    Automaton(String),
}

/// More readings of one class are no class.
const WORDS_MAX: usize = 4096;
/// So many words of one part keep the automaton small; the next bracket begins a new part.
const READINGS_MAX: usize = 256;

#[derive(Default)]
pub struct Builder {
    /// A word, and how it is mistyped.
    slips: Vec<(String, Vec<String>)>,
    classes: BTreeMap<String, Vec<String>>,
    sets: HashMap<Vec<String>, Set>,
    phrases: Vec<Phrase>,
    topics: usize,
}

impl Builder {
    /// Classes may speak of classes that stand before them in the alphabet of the file.
    pub fn new(slips: &BTreeMap<String, Vec<String>>, classes: &[(String, Vec<String>)]) -> Result<Self, PhraseFault> {
        let plain = |words: &Vec<String>| words.iter().map(|word| normal::plain(word)).collect();
        let slips = slips.iter().map(|(word, slips)| (normal::plain(word), plain(slips))).collect();
        let mut builder = Self { slips, ..Self::default() };
        for (name, entries) in classes {
            let mut words = BTreeSet::new();
            for entry in entries {
                match builder.tokens(entry)?.as_slice() {
                    [Token::Words(read)] => words.extend(read.iter().filter(|w| !w.is_empty()).cloned()),
                    tokens => {
                        let mut all = vec![String::new()];
                        for token in tokens {
                            all = match token {
                                Token::Words(words) => cross(&all, words, entry)?,
                                Token::Class(name) => cross(&all, &builder.classes[name], entry)?,
                                Token::Apart(_) => return Err(PhraseFault::Nothing(entry.clone())),
                            };
                        }
                        words.extend(all);
                    }
                }
            }
            builder.classes.insert(name.clone(), words.into_iter().collect());
        }
        Ok(builder)
    }

    /// A topic for these phrases.
    pub fn topic<'p>(&mut self, phrases: impl IntoIterator<Item = &'p String>) -> Result<Topic, PhraseFault> {
        let topic = self.topics;
        self.topics += 1;
        for phrase in phrases {
            self.add(topic, phrase)?;
        }
        Ok(topic)
    }

    pub fn build(self) -> Result<Lexicon, PhraseFault> {
        let mut sets_of: BTreeMap<&String, Vec<Set>> = BTreeMap::new();
        for (words, set) in &self.sets {
            words.iter().for_each(|word| sets_of.entry(word).or_default().push(*set));
        }
        let automaton = AhoCorasick::new(sets_of.keys()).map_err(|fault| PhraseFault::Automaton(fault.to_string()))?;
        let sets_of = sets_of.into_values().map(|mut sets| {
            sets.sort_unstable();
            sets
        });
        let mut beginning_with: Vec<Vec<Phrase>> = self.sets.iter().map(|_| Vec::new()).collect();
        let sets_of: Vec<Vec<Set>> = sets_of.collect();
        self.phrases.into_iter().for_each(|phrase| beginning_with[phrase.first as usize].push(phrase));
        Ok(Lexicon { automaton, sets_of, beginning_with, topics: self.topics })
    }

    fn add(&mut self, topic: Topic, phrase: &str) -> Result<(), PhraseFault> {
        let nothing = || PhraseFault::Nothing(phrase.to_owned());
        // Each reading is a row of parts; a part that may be left out makes two readings.
        let mut rows: Vec<Vec<(usize, Vec<String>)>> = vec![vec![]];
        let mut apart = 0;
        for token in self.tokens(phrase)? {
            let words = match token {
                Token::Apart(bytes) => {
                    apart = bytes;
                    continue;
                }
                Token::Class(name) => self.classes[&name].clone(),
                Token::Words(words) => words,
            };
            let optional = words.iter().any(String::is_empty);
            let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
            let without = if optional { rows.clone() } else { vec![] };
            rows.iter_mut().for_each(|row| row.push((apart, words.clone())));
            rows.extend(without);
            apart = if optional { apart } else { 0 };
        }
        if apart > 0 {
            return Err(nothing());
        }
        for row in rows {
            let middle = row.iter().skip(1).take(row.len().saturating_sub(2));
            let denies = middle.flat_map(|(_, words)| words).any(|word| is_denial(word));
            let mut parts = Vec::with_capacity(row.len());
            for (apart_max, words) in row {
                parts.push(Step { set: self.set(words), apart_max });
            }
            if parts.first().is_none_or(|first| first.apart_max > 0) {
                return Err(nothing());
            }
            let first = parts.remove(0).set;
            self.phrases.push(Phrase { topic, first, rest: parts, denies });
        }
        Ok(())
    }

    fn set(&mut self, mut words: Vec<String>) -> Set {
        let slipped = |word: &String| {
            let holds = self.slips.iter().filter(|(right, _)| word.contains(right.as_str()));
            holds.flat_map(|(right, slips)| slips.iter().map(move |slip| word.replace(right, slip))).collect::<Vec<_>>()
        };
        let slipped: Vec<String> = words.iter().flat_map(slipped).collect();
        words.extend(slipped);
        let next = self.sets.len() as Set;
        *self.sets.entry(words).or_insert(next)
    }

    fn tokens(&self, phrase: &str) -> Result<Vec<Token>, PhraseFault> {
        let text = normal::plain(phrase);
        let open = || PhraseFault::Bracket(phrase.to_owned());
        let mut tokens = Vec::new();
        let mut words = vec![String::new()];
        let mut rest = text.as_str();
        let flush = |words: &mut Vec<String>, tokens: &mut Vec<Token>| {
            if words.iter().any(|word| !word.is_empty()) {
                tokens.push(Token::Words(std::mem::take(words)));
            }
            *words = vec![String::new()];
        };
        while let Some(c) = rest.chars().next() {
            if let Some(after) = rest.strip_prefix("...") {
                flush(&mut words, &mut tokens);
                tokens.push(Token::Apart(45));
                rest = after;
            } else if let Some(after) = rest.strip_prefix("..") {
                flush(&mut words, &mut tokens);
                tokens.push(Token::Apart(20));
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or_else(open)?;
                flush(&mut words, &mut tokens);
                let class = self.classes.get(name.trim_end_matches('?'));
                let class = class.ok_or_else(|| PhraseFault::Class(name.to_owned()))?;
                tokens.push(match name.strip_suffix('?') {
                    Some(_) => Token::Words(class.iter().cloned().chain([String::new()]).collect()),
                    None => Token::Class(name.to_owned()),
                });
                rest = after;
            } else if let Some(after) = rest.strip_prefix('(') {
                let (group, after) = after.split_once(')').ok_or_else(open)?;
                let group: Vec<String> = group.split('|').map(str::to_owned).collect();
                // Too many readings of one part are two parts side by side.
                if words.len() * group.len() > READINGS_MAX {
                    flush(&mut words, &mut tokens);
                }
                words = cross(&words, &group, phrase)?;
                rest = after;
            } else {
                words.iter_mut().for_each(|word| word.push(c));
                rest = &rest[c.len_utf8()..];
            }
        }
        flush(&mut words, &mut tokens);
        if tokens.is_empty() { Err(PhraseFault::Nothing(phrase.to_owned())) } else { Ok(tokens) }
    }
}

fn is_denial(word: &str) -> bool {
    ["不", "没", "无", "未", "no ", "not ", "n't", "without", "nothing"].iter().any(|denial| word.contains(denial))
        || word == "no"
        || word == "not"
}

enum Token {
    Words(Vec<String>),
    Class(String),
    Apart(usize),
}

fn cross(left: &[String], right: &[String], phrase: &str) -> Result<Vec<String>, PhraseFault> {
    if left.len() * right.len() > WORDS_MAX {
        return Err(PhraseFault::Large(phrase.to_owned()));
    }
    Ok(left.iter().flat_map(|l| right.iter().map(move |r| format!("{l}{r}"))).collect())
}

impl Lexicon {
    /// Of each topic: where it is spoken of, in the order of the text. `clause_of` tells clauses apart by their number.
    pub fn read(&self, text: &str, clause_of: impl Fn(usize) -> usize) -> Vec<Vec<Span>> {
        let mut found = vec![Vec::new(); self.topics];
        let (words, hit) = self.words(text);
        for first in hit {
            let phrases = &self.beginning_with[first as usize];
            for (start, end) in if phrases.is_empty() { &[] } else { words[first as usize].as_slice() } {
                let clause = clause_of(*start);
                for phrase in phrases {
                    let reach = |step: &Step| !words[step.set as usize].is_empty();
                    if phrase.rest.iter().all(reach)
                        && let Some((last_start, last_end)) = follow(&phrase.rest, &words, (*start, *end))
                        && clause_of(last_end - 1) == clause
                    {
                        let inner = if phrase.denies { (*end, *end) } else { (*end, last_start.max(*end)) };
                        found[phrase.topic].push(Span { start: *start, end: last_end, inner });
                    }
                }
            }
        }
        found.iter_mut().for_each(|spans| spans.sort_unstable_by_key(|span| (span.start, span.end)));
        found
    }

    /// Of each set: where its words stand, in the order of the text; and the sets that have any.
    fn words(&self, text: &str) -> (Vec<Vec<(usize, usize)>>, Vec<Set>) {
        let mut words: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.beginning_with.len()];
        let mut sets = Vec::new();
        for hit in self.automaton.find_overlapping_iter(text) {
            if is_whole(text, hit.start(), hit.end()) {
                for set in &self.sets_of[hit.pattern().as_usize()] {
                    let places = &mut words[*set as usize];
                    if places.is_empty() {
                        sets.push(*set);
                    }
                    places.push((hit.start(), hit.end()));
                }
            }
        }
        // The longest first: 没犯过 is denied as a whole.
        for set in &sets {
            words[*set as usize].sort_unstable_by_key(|(start, end)| (*start, Reverse(*end)));
        }
        (words, sets)
    }
}

/// Where the last step ends when the steps are taken from `from`, each to the nearest word that lets the rest be taken.
fn follow(steps: &[Step], words: &[Vec<(usize, usize)>], from: (usize, usize)) -> Option<(usize, usize)> {
    let Some((step, rest)) = steps.split_first() else { return Some(from) };
    let places = &words[step.set as usize];
    let near = places.partition_point(|(start, _)| *start < from.1);
    places[near..]
        .iter()
        .take_while(|(start, _)| *start <= from.1 + step.apart_max)
        .find_map(|place| follow(rest, words, *place))
}

/// An English word is no part of another: fit is not in benefit. A number may follow: T39.
fn is_whole(text: &str, start: usize, end: usize) -> bool {
    let bytes = text.as_bytes();
    let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    let cut_before = start > 0 && letter(start) && letter(start - 1);
    let plural = bytes.get(end) == Some(&b's') && !letter(end + 1);
    let cut_after = letter(end - 1) && letter(end) && !plural;
    !cut_before && !cut_after
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(phrase: &str, text: &str) -> bool {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let slips = [("腹痛".to_owned(), words(&["服痛"]))].into();
        let classes =
            [("belly".to_owned(), words(&["肚子", "小腹"])), ("pain".to_owned(), words(&["疼", "(绞|胀)痛"]))];
        let mut builder = Builder::new(&slips, &classes).expect("classes");
        builder.topic([&phrase.to_owned()]).expect("a phrase");
        let lexicon = builder.build().expect("a lexicon");
        let text = normal::plain(text);
        !lexicon.read(&text, |at| text.as_bytes()[..at].iter().filter(|b| **b == b',').count())[0].is_empty()
    }

    #[test]
    fn a_phrase_is_found_where_its_parts_stand_in_order_and_near() {
        let table = [
            (true, "腹痛", "昨天腹疼"),
            (true, "{belly}..{pain}", "肚子很疼"),
            (true, "{belly}..{pain}", "肚子一阵一阵绞痛"),
            (false, "{belly}..{pain}", "疼，肚子"),
            (false, "{belly}..{pain}", "肚子，疼"),
            (false, "{belly}..{pain}", "肚子昨天吃了好多东西以后就疼"),
            (true, "{belly}...{pain}", "肚子昨天吃了好多东西以后就疼"),
            (true, "{belly}(很|)痛", "肚子痛"),
            (true, "{belly}(很|)痛", "肚子很痛"),
            (false, "{belly}{pain}", "肚子很痛"),
            (true, "fit", "had a fit"),
            (true, "fit", "two fits today"),
            (false, "fit", "benefit"),
            (false, "fit", "fitness"),
            (true, "t", "T39"),
            (true, "(小|下)腹痛", "下服疼"),
        ];
        for (expected, phrase, text) in table {
            assert_eq!(finds(phrase, text), expected, "{phrase} in {text}");
        }
    }

    #[test]
    fn a_phrase_that_cannot_be_read_is_refused_by_name() {
        let fault = |phrase: &str| Builder::default().topic([&phrase.to_owned()]).expect_err("a fault");
        assert_eq!(fault("{nobody}"), PhraseFault::Class("nobody".into()));
        assert_eq!(fault("(a|b"), PhraseFault::Bracket("(a|b".into()));
        assert_eq!(fault("..a"), PhraseFault::Nothing("..a".into()));
        assert_eq!(fault("a.."), PhraseFault::Nothing("a..".into()));
        assert_eq!(fault("(|)"), PhraseFault::Nothing("(|)".into()));
    }
}
