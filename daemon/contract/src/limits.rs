//! Every bound of the contract, in one place. Lengths of text are in Unicode characters,
//! because a doctor who reads "at most 2,000 characters" counts 汉字, not bytes.

/// Largest message in either direction, in bytes. The broker's and the client's packet limits are set from it.
/// Sum: a request full to every bound below is about 150 KiB of UTF-8; the rest is room for unknown fields.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of a request. The contract itself needs 5; unknown fields may go a little deeper.
pub const JSON_DEPTH_MAX: usize = 16;

pub const ID_BYTES_MAX: usize = 64;
pub const DEPARTMENT_BYTES_MAX: usize = 32;
pub const CODE_BYTES_MAX: usize = 48;

pub const COMPLAINT_CHARS_MAX: usize = 2000;
pub const HISTORY_CHARS_MAX: usize = 4000;
/// One entry of a list of allergies, drugs, conditions, or the name of a laboratory value.
pub const ITEM_CHARS_MAX: usize = 120;
pub const APP_CHARS_MAX: usize = 80;

/// What the box tells of itself in `box/info`: names of adapters, devices and the machine, and how many of them.
pub const NAME_CHARS_MAX: usize = 80;
pub const DEVICES_MAX: usize = 16;
/// A good deal more than the contract knows.
pub const DEPARTMENTS_MAX: usize = 32;

pub const ITEMS_MAX: usize = 32;
pub const FINDINGS_MAX: usize = 64;

/// One line of an answer. The form's own bounds are tighter; rules may need a sentence.
pub const LINE_CHARS_MAX: usize = 400;
pub const CAUSES_MAX: usize = 5;
pub const ANSWER_LINES_MAX: usize = 32;

/// What a doctor gives the patient to take home, with a page to spare.
pub const PATIENT_TEXT_CHARS_MAX: usize = 2000;
/// A doctor may think again, and again; then it is a fault of the tablet.
pub const REVIEWS_MAX: u32 = 16;
/// Cases that one report to an admin lists of each kind.
pub const REPORT_CASES_MAX: usize = 100;
/// An admin's hold ends by itself: a village must not stay without its box because somebody forgot.
pub const HOLD_S_MAX: u32 = 3600;
pub const HOLD_S_DEFAULT: u32 = 600;

pub const DEADLINE_S_MIN: u32 = 5;
pub const DEADLINE_S_MAX: u32 = 3600;
pub const DEADLINE_S_DEFAULT: u32 = 180;
