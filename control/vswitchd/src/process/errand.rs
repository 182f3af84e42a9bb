//! Errands: what takes several turns of the loop.
//!
//! A turn ends within some milliseconds.  A command that asks workers, or that has to say something of
//! thousands of ports or addresses, is an errand: each step ends with an answer, or with what is to come
//! before the next one.  Others are served in between, so a step looks names and numbers up anew.

use crate::lower::workers::Question;
use crate::process::engine::Engine;
use crate::process::unixctl::{Answer, REQUESTS_MAX};
use crate::report::status::Wanted;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;
use uuid::Uuid;
use weft_io::Queue;
use weft_switch::{PortCounters, PortId};
use weft_worker::{Command, Event};

/// Ports of one piece.
const PORTS_PER_PIECE: usize = 128;

/// The rest of an errand; it gets the answers of the workers, if it asked.
pub(crate) type Resume = Box<dyn FnOnce(&mut Engine, Vec<Event<Queue>>) -> Step>;

/// What a step of an errand ends with.
pub(crate) enum Step {
    /// It is done.
    Done(Answer),
    /// It goes on when all workers have answered, those left out that are lost.
    Ask(Question, Resume),
    /// Rows are to have these values; it goes on when the database has been told.
    Write(Wanted, Resume),
    /// The rest needs nothing of the engine and may take long: a thread makes it.
    Elsewhere(Box<dyn FnOnce() -> Answer + Send>),
}

struct Errand {
    reply: Option<oneshot::Sender<Answer>>,
    question: Option<Question>,
    resume: Resume,
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
    pub fn is_ready(&self, engine: &Engine) -> bool {
        self.waiting.iter().any(|errand| errand.can_go_on(engine))
    }

    /// Goes on with one that can.
    pub fn turn(&mut self, engine: &mut Engine) {
        let ready = self.waiting.iter().position(|errand| errand.can_go_on(engine));
        let Some(ready) = ready else { return };
        let Errand { reply, question, resume } = self.waiting.remove(ready);
        let answers = question.and_then(|question| engine.workers.take_answered(question));
        let step = resume(engine, answers.unwrap_or_default());
        self.after(step, reply);
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
    fn can_go_on(&self, engine: &Engine) -> bool {
        self.question.is_none_or(|question| engine.workers.is_answered(question))
    }
}

/// Whoever asked may be gone.
fn send(reply: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(reply) = reply {
        let _ = reply.send(answer);
    }
}

/// Goes through interfaces a piece at a time, with what their ports have counted.
pub(crate) struct ByPort<S> {
    /// Those that are left.
    rows: std::vec::IntoIter<Uuid>,
    state: S,
    each: fn(&mut Engine, &mut S, &Uuid, &PortCounters),
    /// After each piece: what is to be written before the next.
    piece: fn(&mut S) -> Option<Wanted>,
    end: fn(&mut Engine, S) -> Step,
}

/// Calls `each` for each of `rows`, a piece in each turn, and `end` at last.
pub(crate) fn by_port<S: 'static>(
    engine: &mut Engine,
    rows: Vec<Uuid>,
    state: S,
    each: fn(&mut Engine, &mut S, &Uuid, &PortCounters),
    end: fn(&mut Engine, S) -> Step,
) -> Step {
    ByPort { rows: rows.into_iter(), state, each, piece: |_| None, end }.go_on(engine)
}

impl<S: 'static> ByPort<S> {
    /// The same, with something to be written after each piece.
    pub fn writing(
        engine: &mut Engine,
        rows: Vec<Uuid>,
        state: S,
        each: fn(&mut Engine, &mut S, &Uuid, &PortCounters),
        piece: fn(&mut S) -> Option<Wanted>,
        end: fn(&mut Engine, S) -> Step,
    ) -> Step {
        Self { rows: rows.into_iter(), state, each, piece, end }.go_on(engine)
    }

    fn go_on(mut self, engine: &mut Engine) -> Step {
        let piece: Vec<Uuid> = self.rows.by_ref().take(PORTS_PER_PIECE).collect();
        if piece.is_empty() {
            return (self.end)(engine, self.state);
        }
        let ids: Arc<[PortId]> = piece.iter().filter_map(|row| engine.ids.port(row)).collect();
        let question = engine.workers.ask(|_| Command::ReportPorts(Arc::clone(&ids)));
        let resume = move |engine: &mut Engine, answers| {
            let counters = sum(answers);
            let none = PortCounters::default();
            for row in &piece {
                let counted = engine.ids.port(row).and_then(|id| counters.get(&id));
                (self.each)(engine, &mut self.state, row, counted.unwrap_or(&none));
            }
            match (self.piece)(&mut self.state) {
                Some(wanted) => Step::Write(wanted, Box::new(move |engine, _| self.go_on(engine))),
                None => self.go_on(engine),
            }
        };
        Step::Ask(question, Box::new(resume))
    }
}

/// What ports have counted, of all workers together.
pub(crate) fn sum(answers: Vec<Event<Queue>>) -> BTreeMap<PortId, PortCounters> {
    let mut all: BTreeMap<PortId, PortCounters> = BTreeMap::new();
    for event in answers {
        let Event::Ports(counters) = event else { continue };
        for (port, counters) in counters {
            all.entry(port).or_default().add(&counters);
        }
    }
    all
}
