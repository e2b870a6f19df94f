//! When the power goes: dealt from the seed before the life begins.

use crate::{
    dice::Dice,
    platter::Unsynced,
    shim::{Cut, Moment, PLACES},
};

/// What the box is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Starting,
    Serving,
    /// Told to: the log is taken into the database.
    Stopping,
    /// And the log is taken into the database meanwhile.
    LogFull,
    /// A week has passed: at its start the store is copied.
    Copying,
}

/// What there is after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Disk(Unsynced),
    /// Nothing of the machine but this process was ended: all that it wrote is there to be read, and is on no disk.
    PageCache,
}

#[derive(Debug, Clone, Copy)]
pub struct Blow {
    pub when: When,
    pub cut: Cut,
    pub left: Left,
    pub broker_too: bool,
}

const FOLDER: Option<usize> = Some(0);
const DATABASE: Option<usize> = Some(1);
const LOG: Option<usize> = Some(2);
const ROLLBACK: Option<usize> = Some(3);
const KEY: Option<usize> = Some(4);
const RESERVE: Option<usize> = Some(5);
const COPY: Option<usize> = Some(6);

/// Which sync it is at most, of which place.
type Kind = (When, Option<usize>, usize);

/// Of a box's very first start.
const FIRST: [Kind; 6] = [
    (When::Starting, None, SYNCS_OF_A_START),
    (When::Starting, FOLDER, 4),
    (When::Starting, ROLLBACK, 4),
    (When::Starting, DATABASE, 2),
    (When::Starting, KEY, 1),
    (When::Starting, RESERVE, 1),
];
/// The first start has about a dozen; beyond them are the first commits.
const SYNCS_OF_A_START: usize = 16;

/// Twice what is cheap and happens all the time.
const LATER: [Kind; 13] = [
    (When::Starting, None, 3),
    (When::Starting, LOG, 1),
    (When::Starting, FOLDER, 1),
    (When::Serving, None, 12),
    (When::Serving, None, 12),
    (When::Serving, LOG, 12),
    (When::Serving, LOG, 12),
    (When::Stopping, None, 4),
    (When::Stopping, DATABASE, 1),
    (When::LogFull, DATABASE, 1),
    (When::LogFull, None, 12),
    (When::Copying, COPY, 2),
    (When::Copying, FOLDER, 2),
];

pub const PLACES_REACHED: usize = PLACES.len() - 1;

pub fn of(seed: u64, dice: &mut Dice) -> Vec<Blow> {
    let first = FIRST[seed as usize % FIRST.len()];
    let in_turn = LATER[seed as usize % LATER.len()];
    let more = 1 + dice.below(3);
    let kinds: Vec<Kind> = [first, in_turn].into_iter().chain((0..more).map(|_| dice.pick(&LATER))).collect();
    kinds.into_iter().map(|kind| blow(kind, dice)).collect()
}

fn blow((when, place, last): Kind, dice: &mut Dice) -> Blow {
    let pages = dice.below(usize::MAX) as u64;
    let moment = dice.pick(&[Moment::Before, Moment::Amid { pages }, Moment::Behind]);
    let left =
        [Left::Disk(Unsynced::Lost), Left::Disk(Unsynced::Lost), Left::Disk(Unsynced::SomeLost), Left::PageCache];
    Blow {
        when,
        cut: Cut { countdown: 1 + dice.below(last) as u32, place, moment },
        left: dice.pick(&left),
        broker_too: dice.one_in(4),
    }
}

impl Blow {
    /// What it is counted as.
    pub fn names(&self) -> [&'static str; 3] {
        let when = match self.when {
            When::Starting => "while starting",
            When::Serving => "while serving",
            When::Stopping => "while stopping",
            When::LogFull => "with a full log",
            When::Copying => "while copying",
        };
        let moment = match self.cut.moment {
            Moment::Before => "before a sync",
            Moment::Amid { .. } => "amid a sync",
            Moment::Behind => "behind a sync",
        };
        let left = match self.left {
            Left::Disk(Unsynced::Lost) => "leaves what was synced",
            Left::Disk(Unsynced::SomeLost) => "leaves some more",
            Left::PageCache => "leaves the page cache",
        };
        [when, moment, left]
    }
}

/// All that a blow can be counted as.
pub const NAMES: [&str; 11] = [
    "while starting",
    "while serving",
    "while stopping",
    "with a full log",
    "while copying",
    "before a sync",
    "amid a sync",
    "behind a sync",
    "leaves what was synced",
    "leaves some more",
    "leaves the page cache",
];
