//! Errands: what takes several turns of the loop.
//!
//! A turn ends within some milliseconds.  A command that asks workers, or that has to say something of
//! thousands of ports or addresses, is an errand: each step ends with an answer, or with what is to come
//! before the next one.  Others are served in between, so a step looks names and numbers up anew.

use crate::engine::Engine;
use crate::engine::parts::{Lend, Needs};
use crate::lower::publish::Ids;
use crate::report::status::Wanted;
use crate::serve::unixctl::{Answer, REQUESTS_MAX};
use crate::workers::{Question, Workers};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;
use uuid::Uuid;
use weft_io::Queue;
use weft_switch::{IfaceCounters, IfaceId};
use weft_worker::{Command, Event};

/// Ports of one piece.
const PORTS_PER_PIECE: usize = 128;

/// The rest of an errand; it gets the answers of the workers, if it asked.
pub(crate) type Resume = Box<dyn FnOnce(&mut Engine, Vec<Event<Queue>>) -> Step>;

/// What a step of an errand ends with.
pub(crate) enum Step {
    /// It is done.
    Done(Answer),
    /// It goes on when all workers have answered, those left out that are lost: [`Step::ask`].
    Ask(Question, Resume),
    /// Rows are to have these values; it goes on when the database has been told: [`Step::write`].
    Write(Wanted, Resume),
    /// It goes on in the next turn: [`Step::next`].
    Next(Resume),
    /// The rest needs nothing of the engine and may take long: a thread makes it.
    Elsewhere(Box<dyn FnOnce() -> Answer + Send>),
}

impl Step {
    /// Goes on with the parts that `N` names, and the answers to `question`.
    pub fn ask<N: Needs>(
        question: Question,
        resume: impl FnOnce(&mut N::Parts<'_>, Vec<Event<Queue>>) -> Self + 'static,
    ) -> Self
    where
        Engine: Lend<N>,
    {
        let resume =
            move |engine: &mut Engine, answers| resume(&mut Lend::<N>::lend(engine), answers);
        Self::Ask(question, Box::new(resume))
    }

    /// Goes on with the parts that `N` names, in the next turn.
    pub fn next<N: Needs>(resume: impl FnOnce(&mut N::Parts<'_>) -> Self + 'static) -> Self
    where
        Engine: Lend<N>,
    {
        Self::Next(Box::new(move |engine, _| resume(&mut Lend::<N>::lend(engine))))
    }

    /// Goes on with the parts that `N` names, when the database has been told.
    pub fn write<N: Needs>(
        wanted: Wanted,
        resume: impl FnOnce(&mut N::Parts<'_>) -> Self + 'static,
    ) -> Self
    where
        Engine: Lend<N>,
    {
        Self::Write(wanted, Box::new(move |engine, _| resume(&mut Lend::<N>::lend(engine))))
    }
}

struct Errand {
    reply: Option<oneshot::Sender<Answer>>,
    question: Option<Question>,
    resume: Resume,
}

/// An errand that can go on.
pub(crate) struct Ready {
    /// Who waits for the answer.
    pub reply: Option<oneshot::Sender<Answer>>,
    /// The next step.
    pub resume: Resume,
    /// What the workers have answered.
    pub answers: Vec<Event<Queue>>,
}

/// Values for rows, and the errand that goes on when the database has been told.
pub(crate) struct Write {
    /// The values.
    pub wanted: Wanted,
    errand: Errand,
}

/// All errands that are under way.
#[derive(Default)]
pub(crate) struct Errands {
    waiting: Vec<Errand>,
    writes: Vec<Write>,
}

impl Errands {
    /// True when one more may begin.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < REQUESTS_MAX
    }

    /// True when one can go on.
    pub fn is_ready(&self, workers: &Workers) -> bool {
        self.waiting.iter().any(|errand| errand.can_go_on(workers))
    }

    /// Takes one that can go on.
    pub fn take_ready(&mut self, workers: &mut Workers) -> Option<Ready> {
        let ready = self.waiting.iter().position(|errand| errand.can_go_on(workers))?;
        let Errand { reply, question, resume } = self.waiting.remove(ready);
        let answers = question.and_then(|question| workers.take_answered(question));
        Some(Ready { reply, resume, answers: answers.unwrap_or_default() })
    }

    /// Does what a step ends with.  Whoever waits for the answer gets it by `reply`.
    pub fn after(&mut self, step: Step, reply: Option<oneshot::Sender<Answer>>) {
        match step {
            Step::Done(answer) => send(reply, answer),
            Step::Ask(question, resume) => {
                self.waiting.push(Errand { reply, question: Some(question), resume });
            }
            Step::Write(wanted, resume) => {
                self.writes
                    .push(Write { wanted, errand: Errand { reply, question: None, resume } });
            }
            Step::Next(resume) => self.waiting.push(Errand { reply, question: None, resume }),
            Step::Elsewhere(make) => {
                drop(tokio::task::spawn_blocking(move || send(reply, make())));
            }
        }
    }

    /// What is to be written next; [`Errands::written`] must follow.
    pub fn take_write(&mut self) -> Option<Write> {
        self.writes.pop()
    }

    /// The database has been told, or cannot be told for now.
    pub fn written(&mut self, Write { errand, .. }: Write) {
        self.waiting.push(errand);
    }
}

impl Errand {
    fn can_go_on(&self, workers: &Workers) -> bool {
        self.question.is_none_or(|question| workers.is_answered(question))
    }
}

/// Whoever asked may be gone.
fn send(reply: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(reply) = reply {
        let _ = reply.send(answer);
    }
}

/// What it takes to have workers count.
pub(crate) enum Counting {}

/// The numbers of interfaces, and the workers that count by them.
pub(crate) struct Counters<'a> {
    /// The numbers.
    pub ids: &'a Ids,
    /// The workers.
    pub workers: &'a mut Workers,
}

impl Needs for Counting {
    type Parts<'a> = Counters<'a>;
}

/// Does something with an interface and what it has counted.
type Each<N, S> = fn(&mut <N as Needs>::Parts<'_>, &mut S, &Uuid, &IfaceCounters);

/// Goes through interfaces a piece at a time, with what they have counted.
pub(crate) struct ByPort<N: Needs, S> {
    /// Those that are left.
    pub rows: std::vec::IntoIter<Uuid>,
    /// What has come of it so far.
    pub state: S,
    /// For each interface.
    pub each: Each<N, S>,
    /// After each piece: what is to be written before the next.
    pub piece: fn(&mut S) -> Option<Wanted>,
    /// At last.
    pub end: fn(&mut N::Parts<'_>, S) -> Step,
}

/// Calls `each` for each of `rows`, a piece in each turn, and `end` at last.
pub(crate) fn by_port<N: Needs, S: 'static>(
    counters: Counters<'_>,
    rows: Vec<Uuid>,
    state: S,
    each: Each<N, S>,
    end: fn(&mut N::Parts<'_>, S) -> Step,
) -> Step
where
    Engine: Lend<N>,
{
    ByPort { rows: rows.into_iter(), state, each, piece: |_| None, end }.begin(counters)
}

impl<N: Needs, S: 'static> ByPort<N, S>
where
    Engine: Lend<N>,
{
    /// Asks for the counters of the first piece, or of the next.
    pub fn begin(mut self, counters: Counters<'_>) -> Step {
        let Counters { ids, workers } = counters;
        let piece: Vec<Uuid> = self.rows.by_ref().take(PORTS_PER_PIECE).collect();
        let ifaces: Arc<[IfaceId]> = piece.iter().filter_map(|row| ids.iface(row)).collect();
        let question = workers.ask(|_| Command::ReportIfaces(Arc::clone(&ifaces)));
        let resume = move |engine: &mut Engine, answers| {
            let counted = by_row(&piece, Lend::<Counting>::lend(engine).ids, sum(answers));
            let mut lent = Lend::<N>::lend(engine);
            for (row, counters) in &counted {
                (self.each)(&mut lent, &mut self.state, row, counters);
            }
            let wanted = (self.piece)(&mut self.state);
            let is_over = self.rows.len() == 0;
            match wanted {
                Some(wanted) if is_over => {
                    Step::write::<N>(wanted, move |lent| (self.end)(lent, self.state))
                }
                Some(wanted) => Step::write::<Counting>(wanted, move |counters| {
                    self.begin(Counters { ids: counters.ids, workers: counters.workers })
                }),
                None if is_over => (self.end)(&mut lent, self.state),
                None => {
                    drop(lent);
                    self.begin(Lend::<Counting>::lend(engine))
                }
            }
        };
        Step::Ask(question, Box::new(resume))
    }
}

/// What each interface of a piece has counted; nothing, if it is gone meanwhile.
fn by_row(
    piece: &[Uuid],
    ids: &Ids,
    mut counters: BTreeMap<IfaceId, IfaceCounters>,
) -> Vec<(Uuid, IfaceCounters)> {
    let mut counted = |row| ids.iface(row).and_then(|id| counters.remove(&id));
    piece.iter().map(|row| (*row, counted(row).unwrap_or_default())).collect()
}

/// What interfaces have counted, of all workers together.
pub(crate) fn sum(answers: Vec<Event<Queue>>) -> BTreeMap<IfaceId, IfaceCounters> {
    let mut all: BTreeMap<IfaceId, IfaceCounters> = BTreeMap::new();
    for event in answers {
        let Event::Ifaces(counters) = event else { continue };
        for (iface, counters) in counters {
            all.entry(iface).or_default().add(&counters);
        }
    }
    all
}
