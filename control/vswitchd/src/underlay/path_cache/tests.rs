use super::*;
use crate::config::tunnel::{TunnelType, read};
use crate::plan::path::Egress;
use weft_wire::mac::MacAddr;

const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

fn tunnel() -> Tunnel {
    let options = [("remote_ip".to_owned(), "198.51.100.2".to_owned())].into();
    read(TunnelType::Gre, "t", &options).unwrap().0
}

/// A way by a NIC with this number.
fn by(ifindex: u32, state: State) -> Path {
    let name = format!("eth{ifindex}");
    let next_hop = IpAddr::from([10, 0, u8::try_from(ifindex).unwrap(), 254]);
    Path {
        state,
        egress: Some(Egress { name: name.clone(), ifindex, mac: ROUTER, is_running: true }),
        next_hop: Some(next_hop),
        source: Some(IpAddr::from([203, 0, 113, 1])),
        asked: Some((ifindex, next_hop)),
        nics: [(name, ifindex)].into(),
        ..Path::none("")
    }
}

/// One look, and the way that it finds.
fn look(ways: &mut PathCache, fresh: Path, now: Instant, is_usable: bool) -> Path {
    ways.invalidate(|_, _| true);
    ways.begin(now);
    let path = ways.get_or(&tunnel(), now, || (fresh, |_: &Path| is_usable)).clone();
    ways.end();
    path
}

fn egress(path: &Path) -> (u32, bool) {
    (path.egress.as_ref().unwrap().ifindex, path.is_held)
}

#[test]
fn the_old_next_hop_serves_until_the_new_one_answers() {
    let (mut ways, start) = (PathCache::default(), Instant::now());
    assert_eq!(egress(&look(&mut ways, by(1, State::Ready(ROUTER)), start, true)), (1, false));
    let held = look(&mut ways, by(2, State::Resolving), start, true);
    assert_eq!((egress(&held), held.asked), ((1, true), by(2, State::Resolving).asked));
    assert!(!ways.is_behind(start + HOLD_MAX / 2));
    let ready = look(&mut ways, by(2, State::Ready(ROUTER)), start + HOLD_MAX / 2, true);
    assert_eq!(egress(&ready), (2, false));
    // It may be the same one, of which nothing is known any more.
    let held = look(&mut ways, by(2, State::Resolving), start, true);
    assert_eq!((egress(&held), &held.state), ((2, true), &State::Ready(ROUTER)));
}

#[test]
fn nothing_is_held_for_long_or_without_use() {
    type Case = (fn(&mut Path), Duration, bool);
    let cases: [Case; 4] = [
        // The time is over.
        (|_| {}, HOLD_MAX, true),
        // The old NIC is down.
        (|_| {}, Duration::ZERO, false),
        // It would send from an address that is no longer the one to send from.
        (|fresh| fresh.source = Some(IpAddr::from([203, 0, 113, 9])), Duration::ZERO, true),
        // There is no way at all, not one that is being asked for.
        (|fresh| fresh.state = State::Unreachable("no route".to_owned()), Duration::ZERO, true),
    ];
    for (index, (change, after, is_usable)) in cases.into_iter().enumerate() {
        let (mut ways, start) = (PathCache::default(), Instant::now());
        look(&mut ways, by(1, State::Ready(ROUTER)), start, true);
        if !after.is_zero() {
            look(&mut ways, by(2, State::Resolving), start, true);
            assert!(ways.is_behind(start + after));
        }
        let mut fresh = by(2, State::Resolving);
        change(&mut fresh);
        let path = look(&mut ways, fresh, start + after, is_usable);
        assert_eq!(egress(&path), (2, false), "case {index}");
    }
}

#[test]
fn a_nic_is_listened_to_for_a_while_after_the_way_has_left_it() {
    let (mut ways, start) = (PathCache::default(), Instant::now());
    let both: std::collections::BTreeSet<Nic> =
        [("eth1".to_owned(), 1), ("eth2".to_owned(), 2)].into();
    look(&mut ways, by(1, State::Ready(ROUTER)), start, true);
    // However long ago it was looked at.
    let later = start + LINGER * 2;
    assert!(!ways.is_behind(later));
    assert_eq!(look(&mut ways, by(2, State::Ready(ROUTER)), later, true).nics, both);
    assert_eq!(look(&mut ways, by(2, State::Ready(ROUTER)), later, true).nics, both);
    assert!(!ways.is_behind(later + LINGER / 2));
    assert!(ways.is_behind(later + LINGER));
    let after = look(&mut ways, by(2, State::Ready(ROUTER)), later + LINGER, true);
    assert_eq!(after.nics, [("eth2".to_owned(), 2)].into());
    // What stays does not make the next look due.
    assert!(!ways.is_behind(later + LINGER * 3));
    // Tunnels that are gone are listened to no more.
    ways.begin(start);
    ways.end();
    let path = look(&mut ways, by(1, State::Ready(ROUTER)), later + LINGER, true);
    assert_eq!(path.nics, [("eth1".to_owned(), 1)].into());
}

#[test]
fn the_kernel_is_asked_only_after_a_change() {
    let (mut ways, now) = (PathCache::default(), Instant::now());
    let mut asked = 0;
    let mut look = |ways: &mut PathCache, now| {
        ways.begin(now);
        ways.get_or(&tunnel(), now, || {
            asked += 1;
            (by(asked, State::Ready(ROUTER)), |_: &Path| true)
        });
        ways.end();
        asked
    };
    assert_eq!([look(&mut ways, now), look(&mut ways, now)], [1, 1]);
    // Of another one, by its remote end or its next hop.
    let remote = tunnel().remote;
    ways.invalidate(|of, _| of != remote);
    ways.invalidate(|_, path| path.asked.is_some_and(|(ifindex, _)| ifindex == 7));
    assert!(!ways.is_behind(now));
    assert_eq!(look(&mut ways, now), 1);
    ways.invalidate(|of, path| of == remote && path.asked.is_some_and(|(it, _)| it == 1));
    assert!(ways.is_behind(now));
    assert_eq!([look(&mut ways, now), look(&mut ways, now)], [2, 2]);
    // Time alone: a NIC that was left long ago.
    assert_eq!([look(&mut ways, now + LINGER), look(&mut ways, now + LINGER)], [3, 3]);
}
