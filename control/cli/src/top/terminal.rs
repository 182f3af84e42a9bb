//! The terminal of `weft top`: a screen of its own, keys without echo, all given back in the end.

use std::io::{self, IsTerminal, Read, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};

use crate::top::page::Size;

/// To a screen of its own, without a cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// And back.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// To leave.
    Quit,
    /// Ports by what they carry.
    ByRate,
    /// Ports by what they drop.
    ByDrops,
    /// Ports by name.
    ByName,
    /// Later ports.
    Down,
    /// Earlier ports.
    Up,
    /// Much later ports.
    PageDown,
    /// Much earlier ports.
    PageUp,
}

/// The keys in what a terminal sent; what means nothing is left out.
pub fn keys(mut bytes: &[u8]) -> Vec<Key> {
    const SEQUENCES: &[(&[u8], Key)] = &[
        (b"\x1b[A", Key::Up),
        (b"\x1bOA", Key::Up),
        (b"k", Key::Up),
        (b"\x1b[B", Key::Down),
        (b"\x1bOB", Key::Down),
        (b"j", Key::Down),
        (b"\x1b[5~", Key::PageUp),
        (b"\x1b[6~", Key::PageDown),
        (b" ", Key::PageDown),
        (b"r", Key::ByRate),
        (b"d", Key::ByDrops),
        (b"n", Key::ByName),
        (b"q", Key::Quit),
        // End of input.
        (b"\x04", Key::Quit),
    ];
    let mut keys = Vec::new();
    while let Some(rest) = bytes.get(1..) {
        let known = SEQUENCES.iter().find(|(sequence, _)| bytes.starts_with(sequence));
        bytes = known.and_then(|(sequence, _)| bytes.get(sequence.len()..)).unwrap_or(rest);
        keys.extend(known.map(|(_, key)| *key));
    }
    keys
}

/// What wakes the program up before it is time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Keys were pressed.
    Keys(Vec<Key>),
    /// The terminal has another size.
    Resized,
    /// A signal ends the program, or the terminal is gone.
    End,
}

/// A terminal in use. Dropping it gives it back as it was.
pub struct Terminal {
    /// What is typed, and how the terminal was; None when standard input is none, and there are no keys.
    input: Option<(Receiver<Vec<u8>>, Termios)>,
    ends: [Signal; 3],
    resized: Signal,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// What the system said.
    pub fn enter(out: &mut impl Write) -> io::Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        let terminal = Self {
            input: input()?,
            ends: [interrupt?, terminate?, hangup?],
            resized: signal(SignalKind::window_change())?,
        };
        out.write_all(ENTER.as_bytes())?;
        Ok(terminal)
    }

    /// Its size; 24 lines of 80 where it does not say.
    pub fn size() -> Size {
        let known =
            tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        known.map_or(Size { rows: 24, columns: 80 }, |size| Size {
            rows: size.ws_row.into(),
            columns: size.ws_col.into(),
        })
    }

    /// Waits for something to happen.
    pub async fn wake(&mut self) -> Wake {
        let [interrupt, terminate, hangup] = &mut self.ends;
        let typed = async {
            match &mut self.input {
                Some((typed, _)) => typed.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            bytes = typed => match bytes {
                Some(bytes) => Wake::Keys(keys(&bytes)),
                // The terminal is gone.
                None => Wake::End,
            },
            _ = self.resized.recv() => Wake::Resized,
            _ = interrupt.recv() => Wake::End,
            _ = terminate.recv() => Wake::End,
            _ = hangup.recv() => Wake::End,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some((_, before)) = &self.input {
            // Nothing can be done about a terminal that is gone.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
        let mut out = io::stdout();
        let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
    }
}

/// What is typed, key by key and without echo.
fn input() -> io::Result<Option<(Receiver<Vec<u8>>, Termios)>> {
    let mut stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(None);
    }
    let before = tcgetattr(&stdin)?;
    let mut modes = before.clone();
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    // Put aside, the program would leave the shell its screen.
    modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
    tcsetattr(&stdin, OptionalActions::Now, &modes)?;
    let (sender, typed) = channel(16);
    // It sits in a read until the program ends, with which it ends.
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(length) = stdin.read(&mut bytes)
            && length > 0
            && sender.blocking_send(bytes.get(..length).unwrap_or_default().to_vec()).is_ok()
        {
        }
    });
    Ok(Some((typed, before)))
}
