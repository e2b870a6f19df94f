//! Whether a relative who is named is the patient or another. 孩子发烧 in a three-year-old's case is the patient;
//! 我妈以前中风 in a thirty-year-old's is not. Without an age or sex that tells, it counts as the patient.

use contract::case::{Age, Sex};

/// What tells a patient from a relative.
#[derive(Clone, Copy)]
pub struct Who {
    pub age: Option<Age>,
    pub sex: Sex,
    pub expecting: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Relative {
    Elder,
    Child,
    Husband,
    Wife,
}

/// Nobody's mother is younger; and who brings "the child" is not older.
const ELDER_FROM: f32 = 40.0;
const CHILD_BELOW: f32 = 25.0;

impl Relative {
    /// `told_of`: of this relative something is told, as that they had or have it; a parent is more often who speaks.
    pub fn is_another(self, who: &Who, told_of: bool) -> bool {
        let years = who.age.map(|age| age.years());
        match self {
            Self::Elder => told_of && years.is_some_and(|years| years < ELDER_FROM),
            // Of a pregnant woman's child is said what it does inside her.
            Self::Child => !who.expecting && years.is_some_and(|years| years >= CHILD_BELOW),
            Self::Husband => who.sex == Sex::Female || who.expecting,
            Self::Wife => who.sex == Sex::Male && !who.expecting,
        }
    }
}
