//! A view as text: a page for a pipe, a screen for a terminal.

use std::fmt::Write as _;
use std::ops::Range;

use crate::table::{Column, grouped, render, scaled};
use crate::top::view::View;

/// Reasons of drops that a screen shows.
const REASONS_MAX: usize = 5;

/// Ports that a screen shows however low it is.
const PORTS_MIN: usize = 3;

/// The last line of a screen.
const KEYS: &str = "q quit  r by rate  d by drops  n by name  arrows scroll";

/// Lines and columns of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), scaled)
}

/// Everything, with all ports and reasons.
#[must_use]
pub fn page(view: &View) -> String {
    text(view, 0..view.ports.len(), view.reasons.len())
}

fn text(view: &View, ports: Range<usize>, reasons: usize) -> String {
    let total = |index| rate(view.total(index));
    let mut text = format!(
        "weftd {}, configuration {}: {} ports; in {} frames/s, {} bit/s; out {} frames/s, {} bit/s; \
         drops {}/s\n\n",
        view.version,
        view.epoch,
        view.ports.len(),
        total(0),
        total(2),
        total(1),
        total(3),
        total(4),
    );
    text += &workers(view);
    text += "\n";
    text += &bridges(view);
    text += "\n";
    text += &port_rows(view, ports);
    if !view.reasons.is_empty() && reasons > 0 {
        text += "\n";
        text += &reason_rows(view, reasons);
    }
    text
}

fn workers(view: &View) -> String {
    let columns = [
        Column::Left("worker"),
        Column::Left("cpu"),
        Column::Right("busy"),
        Column::Right("rx/s"),
        Column::Right("sleeps/s"),
    ];
    let rows = view.workers.iter().map(|worker| {
        let busy = worker.busy.map_or_else(|| "-".to_owned(), |busy| format!("{busy:.1}%"));
        vec![worker.id.clone(), worker.cpu.clone(), busy, rate(worker.rx), rate(worker.sleeps)]
    });
    render(&columns, rows.collect(), 0)
}

fn bridges(view: &View) -> String {
    let columns = [
        Column::Left("bridge"),
        Column::Right("addresses"),
        Column::Right("of"),
        Column::Right("learned/s"),
        Column::Right("moved/s"),
        Column::Right("aged/s"),
        Column::Right("evicted/s"),
    ];
    let rows = view.bridges.iter().map(|bridge| {
        let mut row =
            vec![bridge.name.clone(), grouped(bridge.entries), grouped(bridge.entries_max)];
        row.extend(bridge.churn.map(rate));
        row
    });
    render(&columns, rows.collect(), 0)
}

fn port_rows(view: &View, ports: Range<usize>) -> String {
    let columns = [
        Column::Left("port"),
        Column::Left("bridge"),
        Column::Left("link"),
        Column::Right("rx/s"),
        Column::Right("tx/s"),
        Column::Right("rx bit/s"),
        Column::Right("tx bit/s"),
        Column::Right("drops/s"),
        Column::Right("drops"),
    ];
    let rows = view.ports.get(ports).unwrap_or_default().iter().map(|port| {
        let mut row = vec![port.name.clone(), port.bridge.clone(), port.link.clone()];
        row.extend(port.rates.map(rate));
        row.push(grouped(port.drops));
        row
    });
    render(&columns, rows.collect(), 0)
}

fn reason_rows(view: &View, count: usize) -> String {
    let columns = [
        Column::Left("dropped"),
        Column::Left("bridge"),
        Column::Left("direction"),
        Column::Left("reason"),
        Column::Right("per second"),
        Column::Right("frames"),
    ];
    let rows = view.reasons.iter().take(count).map(|reason| {
        let [bridge, port, direction] = reason.place.clone();
        let frames = grouped(reason.frames);
        vec![port, bridge, direction, reason.name.clone(), rate(reason.rate), frames]
    });
    render(&columns, rows.collect(), 0)
}

/// How far the ports of a view can be scrolled on a screen.
#[must_use]
pub fn scroll_max(view: &View, size: Size) -> usize {
    view.ports.len().saturating_sub(room(view, size))
}

/// Ports that fit on a screen.
fn room(view: &View, size: Size) -> usize {
    let without = text(view, 0..0, REASONS_MAX).lines().count();
    // A line for a remark and one for the keys.
    size.rows.saturating_sub(without + 2).max(PORTS_MIN)
}

/// Exactly as many lines as the terminal has, none longer than it is wide: the ports from number
/// `scroll` on, a remark when there is one, and the keys.
#[must_use]
pub fn screen(view: &View, remark: Option<&str>, size: Size, scroll: usize) -> String {
    let first = scroll.min(scroll_max(view, size));
    let last = first.saturating_add(room(view, size)).min(view.ports.len());
    let text = text(view, first..last, REASONS_MAX);
    let body = size.rows.saturating_sub(2);
    let mut lines: Vec<&str> = text.lines().take(body).collect();
    lines.resize(body, "");
    lines.push(remark.unwrap_or(""));
    lines.push(KEYS);
    let mut screen = String::from(HOME);
    for (index, line) in lines.iter().take(size.rows).enumerate() {
        let line: String = line.chars().take(size.columns).collect();
        let end = if index + 1 == size.rows { "" } else { "\r\n" };
        // Writing to a String never fails.
        let _ = write!(screen, "{line}{CLEAR_LINE}{end}");
    }
    screen
}

/// To the upper left corner.
const HOME: &str = "\x1b[H";

/// Nothing more on this line.
const CLEAR_LINE: &str = "\x1b[K";
