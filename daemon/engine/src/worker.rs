//! `consultd worker`: a child process that fills forms and may die of it.
//!
//! ```text
//! stdin ─▶ reader thread ─▶ orders ─▶ serve: orders, one step, orders, one step … ─▶ stdout
//!          (ends the process when the daemon is gone)
//! ```

use crate::{
    frame::{self, FrameError},
    protocol::*,
    scripted::Scripted,
};
use contract::ids::RequestId;
use std::{
    io::{Stdin, Write},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

/// Fills forms, several at a time. Two inhabitants: llama.cpp and the script of the tests.
pub(crate) trait Engine {
    /// Takes an order. It will end in one `Filled` or `Failed`.
    fn begin(&mut self, order: FillOrder);
    /// Ends a form at once. One that is not open has ended already.
    fn cancel(&mut self, job: RequestId, tell: &mut dyn FnMut(Report));
    fn idle(&self) -> bool;
    /// Works on what is open for as long as nobody may be heard: one batch, or a few milliseconds.
    fn step(&mut self, tell: &mut dyn FnMut(Report));
    /// Weighs given texts, at once and to the end.
    fn weigh(&mut self, order: WeighOrder, tell: &mut dyn FnMut(Report));
    /// Does something useful for cases to come. False when nothing is left to prepare.
    fn prepare(&mut self) -> bool {
        false
    }
    /// Why it cannot go on. What is open stays open: a worker that asks for less takes it over.
    fn unfit(&self) -> Option<Report> {
        None
    }
}

/// Serves orders from `stdin` until the daemon goes away. Returns only when it cannot go on.
pub fn run(stdin: Stdin, mut out: impl Write) -> Result<(), FrameError> {
    let (heard, orders) = channel();
    std::thread::spawn(move || read_orders(stdin, &heard));

    let Ok(Order::Open(open)) = orders.recv() else {
        return Ok(());
    };
    match open {
        OpenOrder::Scripted(Script { unfit: Some(reason), .. }) => {
            frame::write(&mut out, &Report::Unfit { reason, short_of_memory: false })
        }
        OpenOrder::Scripted(script) => {
            if script.die_at_open {
                std::process::abort();
            }
            frame::write(&mut out, &Report::Ready(Ready::default()))?;
            serve(&mut Scripted::new(script), &orders, &mut out)
        }
        OpenOrder::Llama(order) => serve_llama(&order, &orders, &mut out),
    }
}

#[cfg(feature = "llama")]
fn stand_back(order: &LlamaOrder) {
    use rustix::process::{Resource, Rlimit, nice, setrlimit};
    // Neither is a reason not to serve: a sandbox may forbid both, and then it has limits of its own.
    if nice(order.nice).is_err() {
        eprintln!("worker: cannot lower its own priority");
    }
    // What is allocated, not what is mapped: the model's file is shared with the page cache. An allocation over it
    // fails, llama.cpp ends the process, and the daemon starts one that asks for less.
    // A driver maps what it likes, and on a GPU the memory is not counted here anyway.
    if let Some(mb) = order.memory_mb_max.filter(|_| order.gpu_layers == 0 || cfg!(not(feature = "cuda"))) {
        let limit = Some(mb << 20);
        if setrlimit(Resource::Data, Rlimit { current: limit, maximum: limit }).is_err() {
            eprintln!("worker: cannot limit its own memory");
        }
    }
}

#[cfg(feature = "llama")]
fn serve_llama(order: &LlamaOrder, orders: &Receiver<Order>, out: &mut dyn Write) -> Result<(), FrameError> {
    stand_back(order);
    let served = crate::llama::with_engine(order, |engine, ready| {
        frame::write(out, &Report::Ready(ready))?;
        serve(engine, orders, &mut *out)
    });
    match served {
        Ok(result) => result,
        Err(unfit) => frame::write(out, &unfit.report()),
    }
}

#[cfg(not(feature = "llama"))]
fn serve_llama(_: &LlamaOrder, _: &Receiver<Order>, out: &mut dyn Write) -> Result<(), FrameError> {
    let reason = "this consultd was built without llama.cpp (feature `llama`)".to_owned();
    frame::write(out, &Report::Unfit { reason, short_of_memory: false })
}

/// Takes what orders there are, makes one step, and again.
fn serve(engine: &mut dyn Engine, orders: &Receiver<Order>, out: &mut dyn Write) -> Result<(), FrameError> {
    let mut reports = Reports { out, beat: Instant::now(), fault: None };
    loop {
        // Waits only when there is nothing to do.
        if engine.idle() && !engine.prepare() && engine.unfit().is_none() {
            let Ok(order) = orders.recv() else { return Ok(()) };
            take(engine, order, &mut reports);
        }
        while let Ok(order) = orders.try_recv() {
            take(engine, order, &mut reports);
        }
        if !engine.idle() {
            engine.step(&mut |report| reports.send(&report));
            reports.beat();
        }
        if let Some(unfit) = engine.unfit() {
            return frame::write(reports.out, &unfit);
        }
        if let Some(fault) = reports.fault.take() {
            return Err(fault);
        }
    }
}

fn take(engine: &mut dyn Engine, order: Order, reports: &mut Reports) {
    match order {
        Order::Fill(order) => engine.begin(*order),
        Order::Weigh(order) => engine.weigh(*order, &mut |report| reports.send(&report)),
        Order::Cancel { job } => engine.cancel(job, &mut |report| reports.send(&report)),
        Order::Open(_) => {} // only once
    }
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

struct Reports<'a> {
    out: &'a mut dyn Write,
    beat: Instant,
    fault: Option<FrameError>,
}

impl Reports<'_> {
    fn send(&mut self, report: &Report) {
        if self.fault.is_none() {
            self.fault = frame::write(self.out, report).err();
        }
    }

    fn beat(&mut self) {
        if self.beat.elapsed() >= Duration::from_millis(500) {
            self.beat = Instant::now();
            self.send(&Report::Beat);
        }
    }
}
