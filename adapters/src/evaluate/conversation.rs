//! What went between us and the box: a JSON line for each request, as it was sent, and for each message that came.
//!
//! ```text
//! {"v":1,"type":"consult","id":"6f1c…",…}      in the order of the cases
//! {"v":1,"type":"accepted","id":"6f1c…",…}     in any order
//! {"v":1,"type":"answer","id":"6f1c…",…}
//! ```
//! `--save` writes it while it goes on, so that a run that is cut off is not lost; `--messages` reads it.

use super::{
    exam::Exam,
    message::{Message, Schemas},
};
use contract::{ids::RequestId, request::Consult};
use std::{collections::HashMap, fs, path::Path};

#[derive(Default)]
pub struct Conversation {
    of: HashMap<RequestId, Vec<Message>>,
    /// Of no request of ours.
    pub strays: Vec<Message>,
}

impl Conversation {
    pub fn hear(&mut self, message: Message, exams: &HashMap<RequestId, usize>) {
        match message.id().filter(|id| exams.contains_key(id)) {
            Some(id) => self.of.entry(id).or_default().push(message),
            None => self.strays.push(message),
        }
    }

    pub fn about(&self, id: RequestId) -> &[Message] {
        self.of.get(&id).map_or(&[], Vec::as_slice)
    }

    pub fn is_empty(&self) -> bool {
        self.of.is_empty() && self.strays.is_empty()
    }

    /// A saved one. The exams take the ids under which they were asked then.
    pub fn saved(path: &Path, exams: &mut [Exam], schemas: &Schemas) -> Result<Self, String> {
        let fault = |e: String| format!("{}: {e}", path.display());
        let text = fs::read_to_string(path).map_err(|e| fault(e.to_string()))?;
        let (asked, said): (Vec<_>, Vec<_>) = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| Message::read(line, schemas))
            .partition(|message| message.is("consult"));
        if asked.len() != exams.len() {
            let (asked, exams) = (asked.len(), exams.len());
            return Err(fault(format!("holds {asked} requests, and these cases make {exams}: of other cases")));
        }
        for (exam, asked) in exams.iter_mut().zip(asked) {
            let asked: Consult = serde_json::from_value(asked.value).map_err(|e| fault(format!("a consult: {e}")))?;
            let ours = &exam.consult;
            if (&asked.case, asked.lang, &asked.department) != (&ours.case, ours.lang, &ours.department) {
                return Err(fault(format!("{} was asked otherwise: of other cases", exam.place())));
            }
            exam.consult.id = asked.id;
        }
        let ids = ids(exams);
        let mut conversation = Self::default();
        said.into_iter().for_each(|message| conversation.hear(message, &ids));
        Ok(conversation)
    }
}

/// Which exam a request's id belongs to.
pub fn ids(exams: &[Exam]) -> HashMap<RequestId, usize> {
    exams.iter().enumerate().map(|(at, exam)| (exam.id(), at)).collect()
}
