//! Frames of all kinds that keys tell apart, some of them cut off or with wrong lengths.

use proptest::prelude::*;
use proptest::sample::select;

fn bytes(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), len)
}

/// Any frame, most of them whole.
pub fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let padding = prop_oneof![Just(0), 0usize..30, Just(300)];
    let cut = prop_oneof![4 => Just(None), 1 => (1usize..90).prop_map(Some)];
    (bytes(12..13), tags(), l3(), padding, cut).prop_map(|(macs, tags, l3, padding, cut)| {
        let mut frame = [macs, tags, l3].concat();
        frame.resize(frame.len() + padding, 0);
        frame.truncate(cut.unwrap_or(frame.len()));
        frame
    })
}

fn tags() -> impl Strategy<Value = Vec<u8>> {
    let tag = (any::<bool>(), any::<u16>()).prop_map(|(is_outer, tci)| {
        let tpid: u16 = if is_outer { 0x88a8 } else { 0x8100 };
        [tpid.to_be_bytes(), tci.to_be_bytes()].concat()
    });
    let count = prop_oneof![3 => Just(0usize), 2 => Just(1), 1 => Just(2), 1 => Just(3)];
    count.prop_flat_map(move |count| {
        proptest::collection::vec(tag.clone(), count).prop_map(|tags| tags.concat())
    })
}

/// An `EtherType`, or a length with or without SNAP, and what is behind it.
fn l3() -> impl Strategy<Value = Vec<u8>> {
    let typed = prop_oneof![
        6 => ipv4().prop_map(|ip| (0x0800u16, ip)),
        6 => ipv6().prop_map(|ip| (0x86dd, ip)),
        2 => arp().prop_map(|arp| (0x0806, arp)),
        1 => arp().prop_map(|arp| (0x8035, arp)),
        1 => (select(vec![0x8847, 0x8848]), bytes(0..40)),
        1 => (0x0600u16..0x0800, bytes(0..40)),
    ];
    let snap = select(vec![
        [0xaau8, 0xaa, 3, 0, 0, 0],
        [0xaa, 0xaa, 3, 0, 0, 1],
        [0x42, 0x42, 3, 0, 0, 0],
    ]);
    prop_oneof![
        8 => typed.clone().prop_map(|(kind, body)| [&kind.to_be_bytes(), &body[..]].concat()),
        1 => (0u16..0x600, snap, typed).prop_map(|(len, snap, (kind, body))| {
            [&len.to_be_bytes(), &snap[..], &kind.to_be_bytes(), &body].concat()
        }),
        1 => bytes(0..40).prop_map(|body| [vec![0, 40], body].concat()),
    ]
}

fn arp() -> impl Strategy<Value = Vec<u8>> {
    let head = select(vec![
        [0u8, 1, 8, 0, 6, 4],
        [0, 1, 8, 0, 6, 4],
        [0, 1, 8, 0, 6, 5],
        [0, 2, 8, 0, 6, 4],
    ]);
    let opcode = prop_oneof![0u16..5, any::<u16>()];
    (head, opcode, bytes(20..21))
        .prop_map(|(head, opcode, body)| [&head[..], &opcode.to_be_bytes(), &body].concat())
}

/// A protocol's number, and its packet.
fn upper() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let protocol = prop_oneof![4 => select(vec![1u8, 2, 6, 17, 58, 132]), 1 => any::<u8>()];
    prop_oneof![
        3 => (protocol, bytes(0..60)),
        1 => discovery().prop_map(|packet| (58, packet)),
    ]
}

/// Neighbour discovery, with options right and wrong.
fn discovery() -> impl Strategy<Value = Vec<u8>> {
    let head = (select(vec![133u8, 135, 136]), select(vec![0u8, 0, 0, 1]), bytes(6..7));
    let option =
        (select(vec![1u8, 2, 5]), select(vec![1u8, 1, 1, 1, 2, 0]), bytes(6..7), any::<bool>())
            .prop_map(|(kind, len, body, is_zero)| {
                let body = if is_zero { vec![0; 6] } else { body };
                let mut option = [vec![kind, len], body].concat();
                option.resize(option.len().max(usize::from(len) * 8), 7);
                option
            });
    let options = proptest::collection::vec(option, 0..4).prop_map(|options| options.concat());
    (head, bytes(16..17), options).prop_map(|((kind, code, rest), target, options)| {
        [vec![kind, code], rest, target, options].concat()
    })
}

/// A length field: mostly right.
fn off_by() -> impl Strategy<Value = i32> {
    prop_oneof![8 => Just(0), 1 => -30..30]
}

fn field(len: usize, off_by: i32) -> [u8; 2] {
    let len = i32::try_from(len).unwrap_or_default() + off_by;
    u16::try_from(len).unwrap_or_default().to_be_bytes()
}

fn ipv4() -> impl Strategy<Value = Vec<u8>> {
    let fragment =
        prop_oneof![4 => Just(0u16), 1 => Just(0x2000), 1 => Just(0x4000), 1 => any::<u16>()];
    let words = prop_oneof![4 => Just(5u8), 1 => 0..16u8];
    (upper(), fragment, words, off_by(), any::<[u8; 4]>(), bytes(8..9)).prop_map(
        |((protocol, packet), fragment, words, off_by, random, addresses)| {
            let options = vec![1; usize::from(words.saturating_sub(5)) * 4];
            let len = field(20 + options.len() + packet.len(), off_by);
            let [tos, ttl, id, sum] = random;
            let fragment = fragment.to_be_bytes();
            let fixed = [
                0x40 | words,
                tos,
                len[0],
                len[1],
                id,
                id,
                fragment[0],
                fragment[1],
                ttl,
                protocol,
                sum,
                sum,
            ];
            [&fixed[..], &addresses, &options, &packet].concat()
        },
    )
}

/// An extension header: its number, and its bytes from the second on.
fn extension() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let sized = (select(vec![0u8, 43, 60]), select(vec![0u8, 0, 1, 9])).prop_map(|(kind, len)| {
        (kind, [vec![len], vec![3; 6 + usize::from(len) % 9 * 8]].concat())
    });
    let word = prop_oneof![Just(0u16), Just(1), Just(8), any::<u16>()];
    let fragment =
        word.prop_map(|word| (44, [&[0], &word.to_be_bytes()[..], &[1, 2, 3, 4]].concat()));
    let ah = (0u8..4).prop_map(|len| (51, [vec![len], vec![5; 6 + usize::from(len) * 4]].concat()));
    prop_oneof![sized, fragment, ah]
}

fn ipv6() -> impl Strategy<Value = Vec<u8>> {
    let extensions = prop_oneof![Just(0usize..1), Just(1..4)]
        .prop_flat_map(|count| proptest::collection::vec(extension(), count));
    (upper(), extensions, off_by(), any::<u32>(), bytes(33..34)).prop_map(
        |((protocol, packet), extensions, off_by, label, random)| {
            let (mut next, mut payload) = (protocol, packet);
            for (kind, body) in extensions {
                payload = [vec![next], body, payload].concat();
                next = kind;
            }
            let (hops, addresses) = random.split_at(1);
            let word = (6 << 28 | label & 0x0fff_ffff).to_be_bytes();
            let len = field(payload.len(), off_by);
            [&word[..], &len, &[next], hops, addresses, &payload].concat()
        },
    )
}
