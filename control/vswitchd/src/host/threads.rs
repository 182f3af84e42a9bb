//! Links are opened and closed by threads: the kernel makes whoever does that wait, and the control loop goes on.
//!
//! A link is closed in two steps.  First workers give its queues back, which they are asked for; then a thread
//! closes these, and the program.  Its number is free when that is done.

use crate::host::links::{Leaving, LinkError, Links};
use crate::host::nic::{NicOrder, OpenNic};
use crate::host::parallel;
use crate::workers::{Question, Workers};
use std::collections::VecDeque;
use tokio::task::JoinSet;
use weft_io::Queue;
use weft_switch::LinkId;

/// What became of an order to open a NIC.
pub struct Opened {
    /// The order.
    pub order: NicOrder,
    /// The NIC, not yet in service, or why it is not open.
    pub outcome: Result<OpenNic, LinkError>,
}

/// What threads have done.
pub enum Done {
    /// Carried orders out.
    Opened(Vec<Opened>),
    /// Closed the links of these numbers.
    Closed(Vec<LinkId>),
}

/// What workers were asked for, and what is done when they have given it back.
enum Asked {
    /// The queues of a link that is closed.
    Link(Box<Leaving>),
    /// Queues that stood in for others; their link stays.
    StandIns,
}

/// What threads do for links.
#[derive(Default)]
pub struct Threads {
    asked: Vec<(Question, Asked)>,
    running: JoinSet<Done>,
    /// NICs that nobody has taken yet.
    opened: VecDeque<Opened>,
}

impl Threads {
    /// True when all links that were to be closed are, and all orders are carried out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.running.is_empty()
    }

    /// Has NICs opened, many at a time: [`Threads::take_opened`] has them when [`Threads::is_idle`].
    pub fn open(&mut self, orders: Vec<NicOrder>) {
        if orders.is_empty() {
            return;
        }
        self.running.spawn_blocking(|| {
            Done::Opened(parallel::each(orders, |order, at_once| {
                let outcome = order.open(at_once);
                Opened { order, outcome }
            }))
        });
    }

    /// A NIC that was opened, if there is one left.
    pub fn take_opened(&mut self) -> Option<Opened> {
        self.opened.pop_front()
    }

    /// Has links closed that were taken out of service.
    pub fn close(&mut self, links: impl IntoIterator<Item = Leaving>, workers: &mut Workers) {
        for leaving in links {
            let question = workers.ask_for_queues(leaving.link.id);
            self.asked.push((question, Asked::Link(Box::new(leaving))));
        }
    }

    /// Has the queues closed that stood in for others of a link.
    pub fn close_stand_ins(&mut self, link: LinkId, workers: &mut Workers) {
        self.asked.push((workers.ask_for_stand_ins(link), Asked::StandIns));
    }

    /// Has a NIC closed that was opened for a worker that is there no more.
    pub fn undo(&mut self, name: &str, nic: OpenNic) {
        let OpenNic { link, queues, is_made_promiscuous } = nic;
        let queues = queues.into_iter().map(|(_, queue)| queue).collect();
        let mut leaving = Leaving::of(name, link);
        (leaving.queues, leaving.ends_promiscuity) = (queues, is_made_promiscuous);
        self.run(vec![leaving], Vec::new());
    }

    /// Has all links of workers closed that were replaced, and then those stopped.
    pub fn end(&mut self, mut links: Vec<Leaving>, mut before: Workers) {
        self.running.spawn_blocking(move || {
            let ask = |leaving: &Leaving| before.ask_for_queues(leaving.link.id);
            let asked: Vec<_> = links.iter().map(ask).collect();
            for (leaving, question) in links.iter_mut().zip(asked) {
                leaving.queues = before.take_queues(question);
            }
            let closed = close(links);
            before.stop();
            closed
        });
    }

    /// Has threads close what workers have given back.
    pub fn turn(&mut self, workers: &mut Workers) {
        let is_answered = |(question, _): &(Question, Asked)| workers.is_answered(*question);
        if !self.asked.is_empty() && self.asked.iter().all(is_answered) {
            self.collect(workers);
        }
    }

    /// The same; waits for those that owe something.
    fn collect(&mut self, workers: &mut Workers) {
        let (mut links, mut stand_ins) = (Vec::new(), Vec::new());
        for (question, asked) in self.asked.drain(..) {
            let queues = workers.take_queues(question);
            match asked {
                Asked::Link(mut leaving) => {
                    leaving.queues = queues;
                    links.push(*leaving);
                }
                Asked::StandIns => stand_ins.extend(queues),
            }
        }
        self.run(links, stand_ins);
    }

    fn run(&mut self, links: Vec<Leaving>, stand_ins: Vec<Queue>) {
        if links.is_empty() && stand_ins.is_empty() {
            return;
        }
        self.running.spawn_blocking(|| {
            drop(stand_ins);
            close(links)
        });
    }

    /// Waits until a thread is done, for ever when none runs; loses nothing when it is dropped.  None when it
    /// has failed.
    pub async fn next(&mut self) -> Option<Done> {
        match self.running.join_next().await {
            Some(done) => done.inspect_err(|error| tracing::error!("links: {error}")).ok(),
            None => std::future::pending().await,
        }
    }

    /// Takes in what a thread has done.
    pub fn note(&mut self, done: Option<Done>, links: &mut Links, workers: &Workers) {
        match done {
            Some(Done::Opened(opened)) => self.opened.extend(opened),
            Some(Done::Closed(ids)) => {
                links.free(ids);
                workers.reclaim();
            }
            None => {}
        }
    }

    /// Waits for all that is under way, and for workers that owe queues.
    pub async fn settle(&mut self, links: &mut Links, workers: &mut Workers) {
        while !self.is_idle() {
            self.collect(workers);
            let done = self.next().await;
            self.note(done, links, workers);
        }
    }
}

/// Closes links, many at a time.
fn close(links: Vec<Leaving>) -> Done {
    let ids = links.iter().map(|leaving| leaving.link.id).collect();
    parallel::each(links, |leaving, _| leaving.close());
    Done::Closed(ids)
}
