//! `consultd worker`: a child process that fills forms and may die of it.
//!
//! ```text
//! stdin ─▶ reader thread ─▶ Inbox ─▶ serve: one job at a time ─▶ stdout
//!          (ends the process when the daemon is gone)
//! ```

use crate::{
    form,
    frame::{self, FrameError},
    protocol::*,
    scripted::Scripted,
};
use contract::{ids::RequestId, reply::Section};
use std::{
    collections::{HashSet, VecDeque},
    io::{Stdin, Write},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

/// Fills one form. Two inhabitants: llama.cpp and the script of the tests.
pub(crate) trait Engine {
    fn fill(&mut self, order: &FillOrder, desk: &mut dyn Desk) -> Result<FillStats, FillFault>;
}

/// What an engine sees of the outside while it fills a form.
pub(crate) trait Desk {
    /// Hand over a finished section.
    fn section(&mut self, section: Section, lines: Vec<WrittenLine>);
    /// To be called between steps: gives a sign of life and hears whether the job is still wanted.
    fn step(&mut self) -> Result<(), FillFault>;
}

/// Serves orders from `stdin` until the daemon goes away. Returns only when it cannot go on.
pub fn run(stdin: Stdin, mut out: impl Write) -> Result<(), FrameError> {
    let (orders, inbox) = channel();
    std::thread::spawn(move || read_orders(stdin, &orders));
    let mut inbox = Inbox { orders: inbox, waiting: VecDeque::new(), cancelled: HashSet::new() };

    let Ok(Order::Open(open)) = inbox.orders.recv() else {
        return Ok(());
    };
    match open {
        OpenOrder::Scripted(script) => {
            frame::write(&mut out, &Report::Ready(Ready::default()))?;
            serve(&mut Scripted::new(script), &mut inbox, &mut out)
        }
        OpenOrder::Llama(order) => serve_llama(&order, &mut inbox, &mut out),
    }
}

#[cfg(feature = "llama")]
fn serve_llama(order: &LlamaOrder, inbox: &mut Inbox, out: &mut impl Write) -> Result<(), FrameError> {
    let served = crate::llama::with_engine(order, |engine, ready| {
        frame::write(out, &Report::Ready(ready))?;
        serve(engine, inbox, out)
    });
    match served {
        Ok(result) => result,
        Err(unfit) => frame::write(out, &Report::Unfit { reason: crate::chain(&unfit), short_of_memory: false }),
    }
}

#[cfg(not(feature = "llama"))]
fn serve_llama(_: &LlamaOrder, _: &mut Inbox, out: &mut impl Write) -> Result<(), FrameError> {
    let reason = "this consultd was built without llama.cpp (feature `llama`)".to_owned();
    frame::write(out, &Report::Unfit { reason, short_of_memory: false })
}

fn serve(engine: &mut dyn Engine, inbox: &mut Inbox, out: &mut impl Write) -> Result<(), FrameError> {
    while let Some(order) = inbox.next() {
        let mut desk = Pipe { job: order.job, inbox, out, beat: Instant::now(), fault: None };
        let result = engine.fill(&order, &mut desk);
        if let Some(fault) = desk.fault {
            return Err(fault);
        }
        let job = order.job;
        let report = match result {
            Ok(stats) => Report::Filled { job, stats, scores: Vec::new() },
            Err(fault) => Report::Failed { job, fault },
        };
        frame::write(out, &report)?;
        inbox.cancelled.remove(&job);
        if inbox.waiting.is_empty() {
            inbox.cancelled.clear(); // what remains came too late for its job
        }
    }
    Ok(())
}

/// Ends the process at once when the daemon has closed the pipe or talks nonsense: nobody would read the result,
/// and a worker without its daemon holds gigabytes for nothing. Not by `exit`, which would run llama.cpp's
/// destructors under the feet of a decode in the other thread.
fn read_orders(mut stdin: Stdin, orders: &Sender<Order>) {
    while let Ok(Some(order)) = frame::read(&mut stdin) {
        if orders.send(order).is_err() {
            break;
        }
    }
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

struct Inbox {
    orders: Receiver<Order>,
    /// At most as long as what the daemon sends ahead, which is one.
    waiting: VecDeque<FillOrder>,
    cancelled: HashSet<RequestId>,
}

impl Inbox {
    fn next(&mut self) -> Option<FillOrder> {
        loop {
            if let Some(order) = self.waiting.pop_front() {
                return Some(order);
            }
            match self.orders.recv().ok()? {
                Order::Fill(order) => return Some(*order),
                Order::Cancel { .. } | Order::Open(_) => {} // nothing runs: nothing to cancel; open: only once
            }
        }
    }

    fn is_cancelled(&mut self, job: RequestId) -> bool {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Fill(order) => self.waiting.push_back(*order),
                Order::Cancel { job } => {
                    // One that waits is begun and ends at its first step, so that each order has its report.
                    self.cancelled.insert(job);
                }
                Order::Open(_) => {}
            }
        }
        self.cancelled.contains(&job)
    }
}

struct Pipe<'a, W> {
    job: RequestId,
    inbox: &'a mut Inbox,
    out: &'a mut W,
    beat: Instant,
    fault: Option<FrameError>,
}

impl<W: Write> Pipe<'_, W> {
    fn send(&mut self, report: &Report) {
        if let Err(fault) = frame::write(self.out, report) {
            self.fault.get_or_insert(fault);
        }
    }
}

impl<W: Write> Desk for Pipe<'_, W> {
    fn section(&mut self, section: Section, lines: Vec<WrittenLine>) {
        let lines = lines.into_iter().filter(|line| !form::is_nothing(&line.text)).collect();
        self.send(&Report::Section { job: self.job, section, lines, complete: true });
    }

    fn step(&mut self) -> Result<(), FillFault> {
        if self.beat.elapsed() >= Duration::from_millis(500) {
            self.beat = Instant::now();
            self.send(&Report::Beat);
        }
        if self.fault.is_some() || self.inbox.is_cancelled(self.job) { Err(FillFault::Cancelled) } else { Ok(()) }
    }
}
