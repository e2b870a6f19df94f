//! A person at the keyboard. Questions go to stderr, because samples may go to stdout.

use std::io::{BufRead, Write};

pub struct Terminal<'a> {
    pub input: &'a mut dyn BufRead,
    pub output: &'a mut dyn Write,
}

impl Terminal<'_> {
    pub fn say(&mut self, text: &str) -> Result<(), String> {
        write!(self.output, "{text}").and_then(|()| self.output.flush()).map_err(|e| format!("cannot ask: {e}"))
    }

    /// One line, without blanks around it; `None` where the input has ended.
    pub fn line(&mut self, question: &str) -> Result<Option<String>, String> {
        self.say(question)?;
        let mut line = String::new();
        match self.input.read_line(&mut line).map_err(|e| format!("cannot read the reply: {e}"))? {
            0 => Ok(None),
            _ => Ok(Some(line.trim().to_owned())),
        }
    }

    /// Asks until the reply can be read.
    pub fn until<T>(&mut self, question: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
        loop {
            let line = self.line(question)?.ok_or("the replies ended: nothing is written")?;
            match read(&line) {
                Ok(value) => return Ok(value),
                Err(fault) => self.say(&format!("  {fault}\n"))?,
            }
        }
    }
}
