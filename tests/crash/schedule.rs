//! What is done when: all of it from the seed, before the life begins.

use crate::{
    dice::Dice,
    nemesis::{self, FAULTS, Fault, Then},
    tablet::{INTENTS, Intent, NAMES},
    world::Means,
};

/// The bad time, and what is put into it.
pub fn bad_ms(means: &Means) -> u64 {
    means.ms(2300, 15_000)
}
const INTENTS_A_LIFE: usize = 36;
const FAULTS_A_LIFE: usize = 7;
/// Of these so many are dealt in turn, that seven lives in a row have them all.
const FAULTS_IN_TURN: usize = 3;
/// Not before the box has said its first word.
const FIRST_FAULT_MS: usize = 200;

#[derive(Debug, Clone, Copy)]
pub enum Deed {
    Fault(Fault, &'static str),
    Tablet(usize, Intent),
    /// What a fault brings with it. Not begun in the bad time, it is left out: then everything is mended at once.
    Then(Then),
}

#[derive(Debug, Clone, Copy)]
pub struct Due {
    pub at_ms: u64,
    pub deed: Deed,
    /// Dice of its own: what time makes of one deed does not change the next.
    pub roll: u64,
}

impl Due {
    pub fn new(at_ms: u64, deed: Deed, dice: &mut Dice) -> Self {
        Self { at_ms, deed, roll: dice.below(usize::MAX) as u64 }
    }
}

pub fn of(seed: u64, means: &Means, dice: &mut Dice) -> Vec<Due> {
    let faults: Vec<(Fault, &str)> = FAULTS.into_iter().filter(|(fault, _)| nemesis::possible(*fault, means)).collect();
    let intents: Vec<Intent> = INTENTS.iter().flat_map(|(intent, weight)| vec![*intent; *weight]).collect();
    let (mut dues, bad_ms) = (Vec::new(), bad_ms(means) as usize);
    for n in 0..FAULTS_A_LIFE {
        let (fault, name) = match n < FAULTS_IN_TURN {
            true => faults[(seed as usize * FAULTS_IN_TURN + n) % faults.len()],
            false => dice.pick(&faults),
        };
        let at_ms = FIRST_FAULT_MS + dice.below(bad_ms - FIRST_FAULT_MS);
        dues.push(Due::new(at_ms as u64, Deed::Fault(fault, name), dice));
    }
    for _ in 0..INTENTS_A_LIFE {
        let (at_ms, deed) = (dice.below(bad_ms), Deed::Tablet(dice.below(NAMES.len()), dice.pick(&intents)));
        dues.push(Due::new(at_ms as u64, deed, dice));
    }
    dues.sort_by_key(|due| due.at_ms);
    dues
}
