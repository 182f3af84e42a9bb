//! Links move between workers, as an errand: the workers say which links talk to each other first.

use crate::engine::errand::Step;
use crate::engine::parts::Needs;
use crate::lower::publish::Publisher;
use crate::workers::talks;

/// What a move changes.
pub(crate) enum Moving {}

impl Needs for Moving {
    type Parts<'a> = Publisher<'a>;
}

/// Asks who talks to whom, and moves links after that.
pub(crate) fn begin(publisher: &mut Publisher<'_>, is_asked_for: bool) -> Step {
    let question = publisher.lower.workers.ask_talks();
    Step::ask::<Moving>(question, move |publisher, answers| {
        let moved = publisher.rebalance(&talks(answers), is_asked_for);
        let moved = moved.inspect_err(|error| tracing::error!("{error}"));
        Step::Done(moved.map(|()| String::new()).map_err(|error| format!("{error}\n")))
    })
}
