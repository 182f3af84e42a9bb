//! `weft top`: what a switch does now; ports, drops, addresses, workers, again and again.
//!
//! On a terminal it is a screen that renews itself, in a pipe one page after another.

mod page;
mod terminal;
mod view;

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::{TopArgs, TopSort};
use crate::error::{EXIT_OK, Error};
use crate::top::page::{Size, page, screen, scroll_max};
use crate::top::terminal::{Key, Terminal, Wake};
use crate::top::view::{Sample, View};
use crate::unixctl::Daemon;

/// Shows, until it is interrupted or has shown as often as was asked for.
///
/// # Errors
/// The daemon does not answer, or the output cannot be written.
pub fn run(
    daemon: &Daemon,
    json: bool,
    options: &TopArgs,
    out: &mut impl Write,
) -> Result<u8, Error> {
    if json || options.once || !io::stdout().is_terminal() {
        pages(daemon, json, options, out)
    } else {
        live(daemon, options, out)
    }
}

fn sample(daemon: &Daemon) -> Result<Sample, Error> {
    Ok(Sample { show: daemon.call("weft/show", &[])?, drops: daemon.call("weft/drops", &[])? })
}

/// One page after each delay; with `json` a page is a line.
fn pages(
    daemon: &Daemon,
    json: bool,
    options: &TopArgs,
    out: &mut impl Write,
) -> Result<u8, Error> {
    let delay = Duration::from_secs_f64(options.delay);
    let count = if options.once { Some(1) } else { options.number };
    let (mut before, mut then) = (sample(daemon)?, Instant::now());
    let mut shown = 0;
    while count.is_none_or(|count| shown < count) {
        thread::sleep(delay);
        let now = sample(daemon)?;
        let secs = then.elapsed().as_secs_f64();
        then = Instant::now();
        let view = View::new(Some(&before), &now, secs, options.sort);
        let text = match (json, shown) {
            (true, _) => format!("{}\n", view.to_json()),
            (false, 0) => page(&view),
            (false, _) => format!("\n{}", page(&view)),
        };
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)?;
        before = now;
        shown += 1;
    }
    Ok(EXIT_OK)
}

fn live(daemon: &Daemon, options: &TopArgs, out: &mut impl Write) -> Result<u8, Error> {
    // Before the screen is taken: why there is nothing to show is to be read afterwards.
    let first = sample(daemon)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Error::Output)?.block_on(async {
        let mut terminal = Terminal::enter(out).map_err(Error::Output)?;
        let mut live = Live::new(first, options.sort);
        let delay = Duration::from_secs_f64(options.delay);
        let mut left = options.number;
        let mut due = Instant::now() + delay;
        loop {
            let size = Terminal::size();
            live.scroll = live.scroll.min(scroll_max(&live.view, size));
            let screen = screen(&live.view, live.remark.as_deref(), size, live.scroll);
            out.write_all(screen.as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)?;
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {
                    left = left.map(|left| left.saturating_sub(1));
                    if left == Some(0) {
                        return Ok(EXIT_OK);
                    }
                    live.take(sample(daemon));
                    due = Instant::now() + delay;
                }
                wake = terminal.wake() => match wake {
                    Wake::End => return Ok(EXIT_OK),
                    Wake::Resized => {}
                    Wake::Keys(keys) if keys.contains(&Key::Quit) => return Ok(EXIT_OK),
                    Wake::Keys(keys) => keys.into_iter().for_each(|key| live.press(key, size)),
                },
            }
        }
    })
}

/// What the screen shows.
struct Live {
    /// The last two readings; the rates are those between them.
    before: Option<Sample>,
    now: Sample,
    /// When the last one came, and seconds since the one before.
    at: Instant,
    secs: f64,
    sort: TopSort,
    scroll: usize,
    view: View,
    /// Why the view is not of now.
    remark: Option<String>,
}

impl Live {
    fn new(now: Sample, sort: TopSort) -> Self {
        let view = View::new(None, &now, 0.0, sort);
        let at = Instant::now();
        Self { before: None, now, at, secs: 0.0, sort, scroll: 0, view, remark: None }
    }

    /// A daemon that does not answer may come back: the screen says so and stays.
    fn take(&mut self, sample: Result<Sample, Error>) {
        match sample {
            Err(error) => self.remark = Some(error.to_string()),
            Ok(now) => {
                self.secs = self.at.elapsed().as_secs_f64();
                self.at = Instant::now();
                self.before = Some(std::mem::replace(&mut self.now, now));
                self.remark = None;
                self.look();
            }
        }
    }

    fn look(&mut self) {
        self.view = View::new(self.before.as_ref(), &self.now, self.secs, self.sort);
    }

    fn press(&mut self, key: Key, size: Size) {
        let page = size.rows / 2;
        match key {
            Key::Quit => {}
            Key::ByRate => self.sort = TopSort::Rate,
            Key::ByDrops => self.sort = TopSort::Drops,
            Key::ByName => self.sort = TopSort::Name,
            Key::Down => self.scroll += 1,
            Key::Up => self.scroll = self.scroll.saturating_sub(1),
            Key::PageDown => self.scroll += page,
            Key::PageUp => self.scroll = self.scroll.saturating_sub(page),
        }
        self.look();
    }
}

#[cfg(test)]
mod tests;
