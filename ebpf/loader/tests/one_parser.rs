//! The XDP program in the kernel and the parser in userspace decide alike, on the fuzzer's corpus, on each
//! of its frames cut short at every byte, and on thousands of frames made from them at random.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::{collections::BTreeMap, fs, net::Ipv6Addr, path::Path};

use rustix::net::{AddressFamily, SocketType, socket};
use support::Loaded;
use weft_ebpf::{Program, Reason, Role};
use weft_wire::classify::{Bytes, NotOurs, classify};

/// Frames made at random.
const FRAMES: usize = 8_000;
/// The kernel tests nothing shorter, nor would a driver hand it over.
const FRAME_MIN_BYTES: usize = 14;

const VTEPS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const PORTS: [u16; 2] = [4789, 6081];

/// What the program counts for a decision of userspace.
fn reason(frame: &[u8]) -> Reason {
    let is_vtep =
        |address: Ipv6Addr| VTEPS.iter().any(|vtep| *vtep == address.to_canonical().to_string());
    match classify(&mut Bytes(frame), |port| PORTS.contains(&port), is_vtep) {
        Ok(_) => Reason::Redirected,
        Err(NotOurs::NotIp) => Reason::PassNotIp,
        Err(NotOurs::ShortEthernet | NotOurs::ShortIp | NotOurs::ShortTunnel) => Reason::PassShort,
        Err(NotOurs::BadIpv4 | NotOurs::BadIpv6) => Reason::PassBadIp,
        Err(NotOurs::Extensions) => Reason::PassExtensions,
        Err(NotOurs::NotTunnel) => Reason::PassNotTunnel,
        Err(NotOurs::GreVersion) => Reason::PassGreVersion,
        Err(NotOurs::NotVtep) => Reason::PassNotVtep,
        Err(NotOurs::Fragment) => Reason::OuterFrag,
    }
}

/// The fuzzer's frames.
fn corpus() -> Vec<Vec<u8>> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datapath/wire/fuzz/corpus/classify");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let frame = |text: &str| -> Vec<u8> {
        let digits = text.trim().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    };
    let frames = files
        .iter()
        .flat_map(|file| fs::read_to_string(file).unwrap().lines().map(frame).collect::<Vec<_>>());
    frames.filter(|frame| frame.len() >= FRAME_MIN_BYTES).collect()
}

/// `SplitMix64`: the same frames each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound).unwrap()).unwrap()
    }

    /// A frame of the corpus with some bytes changed, mostly to such as mean something, and maybe cut.
    fn frame(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        const TELLING: [u8; 16] =
            [0, 1, 2, 4, 6, 8, 0x11, 0x20, 0x2c, 0x2f, 0x3c, 0x45, 0x4f, 0x60, 0x81, 0xff];
        let mut frame = corpus[self.below(corpus.len())].clone();
        for _ in 0..self.below(4) {
            let at = self.below(frame.len().min(120));
            let any = u8::try_from(self.below(256)).unwrap();
            frame[at] = if self.below(2) == 0 { any } else { TELLING[self.below(TELLING.len())] };
        }
        if self.below(4) == 0 {
            frame.truncate(FRAME_MIN_BYTES + self.below(frame.len() - FRAME_MIN_BYTES + 1));
        }
        frame
    }
}

#[test]
fn kernel_and_userspace_decide_alike() {
    if !support::privileged("kernel_and_userspace_decide_alike") {
        return;
    }
    let corpus = corpus();
    let mut random = Random(7);
    for frags in [false, true] {
        let mut programs = Loaded::new();
        let program = Program { role: Role::Underlay, frags };
        programs.object.verify(program).unwrap();
        programs.nic.set_vteps(&VTEPS.map(|vtep| vtep.parse().unwrap())).unwrap();
        programs.nic.set_tunnel_ports(&PORTS).unwrap();
        let socket = socket(AddressFamily::XDP, SocketType::RAW, None).unwrap();
        programs.nic.set_socket(0, &socket).unwrap();
        let mut before = programs.nic.counters().unwrap();
        let mut seen: BTreeMap<Reason, usize> = BTreeMap::new();
        let mut check = |frame: &[u8]| {
            programs.object.test_run(program, frame, None).unwrap();
            let after = programs.nic.counters().unwrap();
            let moved: Vec<_> = after.iter().filter(|it| !before.contains(it)).collect();
            let expected = reason(frame);
            assert_eq!(moved.len(), 1, "{frame:02x?}");
            assert_eq!(moved[0].0, expected, "{frame:02x?}");
            *seen.entry(expected).or_default() += 1;
            before = after;
        };
        for frame in &corpus {
            (FRAME_MIN_BYTES..=frame.len()).for_each(|length| check(&frame[..length]));
        }
        (0..FRAMES).for_each(|_| check(&random.frame(&corpus)));
        println!("{seen:?}");
        // All that there is but a queue without a socket.
        assert_eq!(seen.len(), Reason::ALL.len() - 1, "{seen:?}");
    }
}
