//! The clauses of a text, and what a clause says of the words in it: that they are denied, another's, long past, or only
//! supposed. The words that say so stand in `adapters/rules/words.json` (`cues`); this file knows how far each reaches.
//!
//! ```text
//! deny           无 没有 否认 no denies      denies what follows in the clause, near or through a list: 无胸痛、胸闷
//! deny_at_once   不 没 not                   denies what follows at once: 不发烧
//! deny_not       无力 没胃口 no relief        holds a denial and denies nothing
//! suppose        会不会 预防 what if          what follows is not so, or not yet
//! idiom          笑得肚子痛 气得吐血         is said of no body
//! past + over    以前 … 过/好了               it was, and is over, here or in the next clause; `again` (又 现在) takes that back
//! other          邻居 隔壁                    as its clause's subject: somebody else, unless they report (`reports`)
//! others_thing   邻居家狗                     not somebody else, but what did it to the patient
//! elder, child, husband, wife                the patient or another, as `relative.rs` tells
//! ```
//! When in doubt a word counts, and counts as the patient's: a false alarm costs a look, a false denial a patient.

use super::{
    phrase::{Builder, Lexicon, PhraseFault, Span, Topic},
    relative::{self, Who},
};
use serde::Deserialize;
use std::ops::Range;

/// The lists of `words.json` that steer instead of naming a finding.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CueText {
    deny: Vec<String>,
    deny_at_once: Vec<String>,
    deny_not: Vec<String>,
    suppose: Vec<String>,
    idiom: Vec<String>,
    past: Vec<String>,
    over: Vec<String>,
    again: Vec<String>,
    other: Vec<String>,
    others_thing: Vec<String>,
    reports: Vec<String>,
    heredity: Vec<String>,
    has: Vec<String>,
    elder: Vec<String>,
    child: Vec<String>,
    husband: Vec<String>,
    wife: Vec<String>,
}

pub struct Cues {
    deny: Topic,
    deny_at_once: Topic,
    deny_not: Topic,
    suppose: Topic,
    idiom: Topic,
    past: Topic,
    over: Topic,
    again: Topic,
    other: Topic,
    others_thing: Topic,
    reports: Topic,
    heredity: Topic,
    has: Topic,
    relatives: [(Topic, relative::Relative); 4],
}

impl Cues {
    pub fn build(text: &CueText, builder: &mut Builder) -> Result<Self, PhraseFault> {
        use relative::Relative::{Child, Elder, Husband, Wife};
        Ok(Self {
            deny: builder.topic(&text.deny)?,
            deny_at_once: builder.topic(&text.deny_at_once)?,
            deny_not: builder.topic(&text.deny_not)?,
            suppose: builder.topic(&text.suppose)?,
            idiom: builder.topic(&text.idiom)?,
            past: builder.topic(&text.past)?,
            over: builder.topic(&text.over)?,
            again: builder.topic(&text.again)?,
            other: builder.topic(&text.other)?,
            others_thing: builder.topic(&text.others_thing)?,
            reports: builder.topic(&text.reports)?,
            heredity: builder.topic(&text.heredity)?,
            has: builder.topic(&text.has)?,
            relatives: [
                (builder.topic(&text.elder)?, Elder),
                (builder.topic(&text.child)?, Child),
                (builder.topic(&text.husband)?, Husband),
                (builder.topic(&text.wife)?, Wife),
            ],
        })
    }
}

/// A text read once: its clauses, and where each topic is spoken of.
pub struct Reading<'t> {
    text: &'t str,
    clauses: Vec<Range<usize>>,
    pub spans: Vec<Vec<Span>>,
}

/// Farther than this a denial does not reach, except through a list.
const DENIAL_BYTES_MAX: usize = 36;

/// Said of a whole list at its end.
const ALL_NO: [&str; 12] =
    ["都没有", "也没有", "均无", "全没有", "都没", "也没", "从来没有", "没有过", "都不", "全无", "都否认", "均阴性"];

/// Eighty Chinese characters to either side.
const NEAR_BYTES: usize = 240;

/// What may stand before a subject.
const LEADS: [&str; 27] = [
    "我们",
    "我家",
    "家里",
    "我的",
    "我",
    "他家",
    "他",
    "她",
    "听说",
    "昨天",
    "今天",
    "最近",
    "前几天",
    "前两天",
    "上周",
    "上个月",
    "班里",
    "班上",
    "村里",
    "其实",
    "and",
    "but",
    "her",
    "his",
    "my",
    "yesterday",
    "heard",
];

impl<'t> Reading<'t> {
    pub fn of(text: &'t str, lexicon: &Lexicon) -> Self {
        let clauses = clauses(text);
        let clause_of = |at: usize| clauses.partition_point(|clause| clause.end <= at);
        let spans = lexicon.read(text, clause_of);
        Self { text, clauses, spans }
    }

    pub fn clause_of(&self, at: usize) -> usize {
        self.clauses.partition_point(|clause| clause.end <= at)
    }

    pub fn clause(&self, number: usize) -> Option<Range<usize>> {
        self.clauses.get(number).cloned()
    }

    /// Whether these words are stated, of the patient and of now. Of a background (a past cancer) the past counts.
    pub fn counts(&self, span: &Span, cues: &Cues, who: &Who, past_counts: bool) -> bool {
        let number = self.clause_of(span.start);
        let near = self.near(span, &self.clauses[number]);
        !self.denied(span, &near, cues)
            && !self.supposed(span, &near, cues)
            && !self.within(cues.idiom, &near).any(|idiom| idiom.start < span.end && span.start < idiom.end)
            && (past_counts || !self.is_past(number, cues))
            && !self.of_another(span, &near, cues, who)
    }

    /// As much of its clause as is looked at for its sake. A text without marks is one clause of thousands of characters; a cue
    /// that far away says nothing of these words, and looking at all of it for each of them would cost seconds.
    pub fn near(&self, span: &Span, clause: &Range<usize>) -> Range<usize> {
        let mut from = span.start.saturating_sub(NEAR_BYTES).max(clause.start);
        let mut to = (span.end + NEAR_BYTES).min(clause.end);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        while !self.text.is_char_boundary(to) {
            to -= 1;
        }
        from..to
    }

    pub fn denied(&self, span: &Span, clause: &Range<usize>, cues: &Cues) -> bool {
        let void = |cue: &Span| {
            let around = cue.start.saturating_sub(DENIAL_BYTES_MAX).max(clause.start)..cue.end;
            self.within(cues.deny_not, &around).any(|not| not.start <= cue.start && cue.end <= not.end)
        };
        let list = self.last_list(clause.start..span.start);
        let reaches = |cue: &Span| span.start - cue.end <= DENIAL_BYTES_MAX || list.is_some_and(|at| at >= cue.end);
        let inside = |cue: &Span| span.inner.0 <= cue.start && cue.end <= span.inner.1;
        let long = self
            .within(cues.deny, clause)
            .any(|cue| (inside(cue) || (cue.end <= span.start && reaches(cue))) && !void(cue));
        let next = |cue: &Span| cue.end <= span.start && self.text[cue.end..span.start].trim().is_empty();
        let at_once = |cue: &Span| next(cue) || inside(cue);
        long || self.within(cues.deny_at_once, clause).any(|cue| at_once(cue) && !void(cue))
            || self.answered_no(span, clause)
    }

    /// Where the last joint of a list begins: a denial before it runs through.
    fn last_list(&self, before: Range<usize>) -> Option<usize> {
        let text = &self.text[before.clone()];
        let joints = ["、", " or ", "/", "或", "及"].iter().filter_map(|joint| text.rfind(joint));
        joints.max().map(|at| before.start + at)
    }

    /// "胸痛:无", "chest pain (-)", "胸痛、胸闷都没有".
    fn answered_no(&self, span: &Span, clause: &Range<usize>) -> bool {
        let after = self.text[span.end..clause.end].trim_start_matches(|c: char| " :()的".contains(c));
        let after = after.trim_end_matches(|c: char| " )了".contains(c));
        let list = |rest: &str| {
            rest.is_empty() || ["、", "和", "或", "跟", "以及", "也"].iter().any(|joint| rest.starts_with(joint))
        };
        matches!(after, "无" | "没有" | "没" | "否认" | "阴性" | "none" | "negative" | "absent" | "-" | "no")
            || ALL_NO.iter().filter_map(|no| after.strip_suffix(no)).any(list)
    }

    fn supposed(&self, span: &Span, clause: &Range<usize>, cues: &Cues) -> bool {
        self.within(cues.suppose, clause).any(|cue| cue.end <= span.start)
    }

    fn is_past(&self, number: usize, cues: &Cues) -> bool {
        let clause = &self.clauses[number];
        let says = |topic, clause| self.within(topic, clause).next().is_some();
        // 晕过去, 醒过来 are of now.
        let over = |clause| {
            let mut said = self.within(cues.over, clause);
            said.any(|cue| !self.text[cue.end..].starts_with(['去', '来']))
        };
        let next = || self.clauses.get(number + 1).is_some_and(|next| over(next) && !says(cues.again, next));
        says(cues.past, clause) && !says(cues.again, clause) && (over(clause) || next())
    }

    /// What was usual or once: its numbers are not of today.
    pub fn is_of_before(&self, clause: &Range<usize>, cues: &Cues) -> bool {
        let says = |topic| self.within(topic, clause).next().is_some();
        says(cues.past) && !says(cues.again)
    }

    fn of_another(&self, span: &Span, clause: &Range<usize>, cues: &Cues, who: &Who) -> bool {
        let followed_by = |topic, cue: &Span| self.within(topic, clause).any(|said| said.start == cue.end);
        let subjects = |topic| {
            self.within(topic, clause)
                .filter(move |cue| cue.end <= span.start && self.opens(cue, clause))
                .filter(move |cue| !followed_by(cues.reports, cue))
                .filter(|cue| {
                    !self
                        .within(cues.others_thing, clause)
                        .any(|thing| thing.start <= cue.start && cue.end <= thing.end)
                })
        };
        if self.within(cues.heredity, clause).any(|cue| cue.end <= span.start) || subjects(cues.other).next().is_some()
        {
            return true;
        }
        let past = self.is_of_before(clause, cues);
        cues.relatives.iter().any(|(topic, relative)| {
            subjects(*topic).any(|cue| relative.is_another(who, past || followed_by(cues.has, cue)))
        })
    }

    /// Whether a person named here is what the clause speaks of: 邻居发烧, 听说隔壁老王中风; not 被同学推倒.
    fn opens(&self, cue: &Span, clause: &Range<usize>) -> bool {
        let clause = &self.clauses[self.clause_of(clause.start)];
        if cue.start - clause.start > NEAR_BYTES {
            return false;
        }
        let mut lead = self.text[clause.start..cue.start].trim();
        while let Some(rest) = LEADS.iter().find_map(|word| lead.strip_prefix(word)) {
            lead = rest.trim_start();
        }
        lead.is_empty()
    }

    fn within(&self, topic: Topic, clause: &Range<usize>) -> impl Iterator<Item = &Span> {
        let spans = &self.spans[topic];
        let from = spans.partition_point(|span| span.start < clause.start);
        let end = clause.end;
        spans[from..].iter().take_while(move |span| span.start < end)
    }
}

/// Ends at a stop, a new line, a contrast (但, but), or a blank between two Chinese characters: many type blanks instead
/// of commas. "、" ends none, because a denial runs through a list; a point inside 38.5 does not either.
fn clauses(text: &str) -> Vec<Range<usize>> {
    let mut clauses = Vec::new();
    let mut start = 0;
    let mut before = '\n';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map_or('\n', |(_, c)| *c);
        let ends = match c {
            '。' | ';' | '!' | '?' | '\n' | '…' | '|' => true,
            ',' => {
                let in_a_number = before.is_ascii_digit() && after.is_ascii_digit();
                !in_a_number && !in_a_denied_list(&text[start..at], &text[at..])
            }
            '.' => !after.is_ascii_alphanumeric(),
            ' ' => is_han(before) && is_han(after),
            _ => false,
        };
        let turns = (c == '但' && before != '不')
            || c == '却'
            || [" but ", " however "].iter().any(|w| text[at..].starts_with(w));
        if ends || turns {
            clauses.push(start..at);
            start = if ends { at + c.len_utf8() } else { at };
        }
        before = c;
    }
    clauses.push(start..text.len());
    clauses.retain(|clause| !clause.is_empty());
    clauses
}

/// "No fever, cough or vomiting": the comma parts no more than a "、" does.
fn in_a_denied_list(before: &str, after: &str) -> bool {
    let before = before.trim_start();
    if !["no ", "denies ", "without ", "denied ", "not had "].iter().any(|denial| before.starts_with(denial)) {
        return false;
    }
    let sentence = after.split(['.', ';', '!', '?', '\n']).next().unwrap_or_default();
    let lists = [" or ", " nor "].iter().any(|or| sentence.contains(or));
    sentence.len() <= LIST_BYTES_MAX && lists && !sentence.contains(" but ")
}

/// A list is short.
const LIST_BYTES_MAX: usize = 60;

fn is_han(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_clauses() {
        let cut = |text: &'static str| clauses(text).into_iter().map(|c| text[c].trim()).collect::<Vec<_>>();
        assert_eq!(cut("发热,咳嗽。不但痛但能走"), ["发热", "咳嗽", "不但痛", "但能走"]);
        assert_eq!(cut("t 38.5. no fever but cough"), ["t 38.5", "no fever", "but cough"]);
        assert_eq!(cut("no fever, cough or rash, then"), ["no fever, cough or rash", "then"]);
        assert_eq!(cut("no fever, cough"), ["no fever", "cough"]);
        assert_eq!(cut("没有发热 胸闷 bp 160"), ["没有发热", "胸闷 bp 160"]);
        assert_eq!(cut(""), Vec::<&str>::new());
    }
}
