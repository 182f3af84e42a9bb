//! Links leave some descriptors for clients: a switch that cannot take a connection any more cannot
//! be told to let go of a port either.

use rustix::process::{Resource, getrlimit};
use std::fs::File;
use std::os::fd::AsRawFd;

/// Descriptors for connections, and for what comes and goes while a link is opened.
const SPARE: u64 = 256;

/// There are too few left for another link.
#[derive(Debug, thiserror::Error)]
#[error(
    "all but {spare} of {limit} descriptors are in use, and those are for clients: raise the limit \
     of open files (LimitNOFILE= of the service, ulimit -Hn)"
)]
pub struct NoDescriptors {
    limit: u64,
    spare: u64,
}

/// Descriptors that opening a link with one queue takes, at most: XDP links, sockets, what is read about the device.
const PER_LINK: u64 = 10;

/// Looks whether there are descriptors for another link, when so many are opened at a time.
///
/// # Errors
/// When there are not.
pub fn check(at_once: usize) -> Result<(), NoDescriptors> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // The next one that is opened gets the lowest number that is free.
    let lowest_free =
        File::open("/dev/null").ok().and_then(|file| file.as_raw_fd().try_into().ok());
    let others = (at_once as u64).saturating_sub(1) * PER_LINK;
    check_room(limit, lowest_free.map(|number: u64| number + others))
}

fn check_room(limit: u64, lowest_free: Option<u64>) -> Result<(), NoDescriptors> {
    let spare = SPARE.min(limit / 4);
    match lowest_free {
        Some(number) if number < limit - spare => Ok(()),
        _ => Err(NoDescriptors { limit, spare }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_left_for_clients() {
        assert!(check_room(u64::MAX, Some(1_000_000)).is_ok());
        assert!(check_room(20_000, Some(19_743)).is_ok());
        let said = check_room(20_000, Some(19_744)).unwrap_err().to_string();
        assert!(said.starts_with("all but 256 of 20000 descriptors are in use"), "{said}");
        // Of few, not all are kept.
        assert!(check_room(100, Some(74)).is_ok());
        assert!(check_room(100, Some(75)).is_err());
        assert!(check_room(20_000, None).is_err());
    }
}
