use super::*;
use proptest::prelude::*;

/// An Ethernet frame with a TCP segment with these flags and options, its checksum right.
fn segment(v6: bool, tagged: bool, flags: u8, options: &[u8]) -> Vec<u8> {
    let mut tcp = vec![0x30, 0x39, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0, flags, 0xff, 0, 0, 0, 0, 0];
    tcp.extend(options);
    tcp.resize(tcp.len().next_multiple_of(4), 0);
    tcp[12] = u8::try_from(tcp.len() / 4).unwrap() << 4;
    let header_len = u16::try_from(tcp.len()).unwrap();
    let mut ip = if v6 {
        let [high, low] = header_len.to_be_bytes();
        vec![0x60, 0, 0, 0, high, low, 6, 64]
    } else {
        let [high, low] = (header_len + 20).to_be_bytes();
        vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, 6, 0, 0]
    };
    let addresses: Vec<u8> = (1..=if v6 { 32 } else { 8 }).collect();
    ip.extend(&addresses);
    let pseudo = checksum::sum(&addresses) + 6 + u64::from(header_len);
    let sum = checksum::finish(checksum::sum(&tcp) + pseudo);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2; 12];
    if tagged {
        frame.extend([0x81, 0, 0, 7]);
    }
    frame.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    frame.extend(ip);
    frame.extend(tcp);
    frame
}

fn tcp_at(v6: bool, tagged: bool) -> usize {
    14 + if tagged { 4 } else { 0 } + if v6 { 40 } else { 20 }
}

/// The sum over segment and pseudo-header is that of a right checksum.
fn is_right(frame: &[u8], v6: bool, tagged: bool) -> bool {
    let at = tcp_at(v6, tagged);
    let addresses = &frame[at - if v6 { 32 } else { 8 }..at];
    let pseudo = checksum::sum(addresses) + 6 + (frame.len() - at) as u64;
    checksum::finish(checksum::sum(&frame[at..]) + pseudo) == 0
}

proptest! {
    /// Wherever the option stands, only its value and the checksum change.
    #[test]
    fn the_value_is_lowered_and_the_checksum_right(
        v6: bool,
        tagged: bool,
        nops in 0usize..5,
        mss: u16,
        mtu in 100u32..9000,
        ack: bool,
    ) {
        let [high, low] = mss.to_be_bytes();
        let options = [vec![1; nops], vec![2, 4, high, low], vec![1; 3]].concat();
        let flags = if ack { 0x12 } else { 0x02 };
        let before = segment(v6, tagged, flags, &options);
        prop_assert!(is_right(&before, v6, tagged));
        let mut frame = before.clone();
        let mut asked = 0;
        clamp(&mut frame, |l2_bytes| { asked = l2_bytes; Some(mtu) });
        prop_assert_eq!(asked, if tagged { 18 } else { 14 });
        prop_assert!(is_right(&frame, v6, tagged));
        let mss_max = mtu - if v6 { 60 } else { 40 };
        let value = tcp_at(v6, tagged) + 20 + nops + 2;
        let now = u16::from_be_bytes([frame[value], frame[value + 1]]);
        prop_assert_eq!(u32::from(now), u32::from(mss).min(mss_max));
        let sum_at = tcp_at(v6, tagged) + 16;
        for (at, (a, b)) in before.iter().zip(&frame).enumerate() {
            let may = (value..value + 2).contains(&at) || (sum_at..sum_at + 2).contains(&at);
            prop_assert!(a == b || may, "byte {}", at);
        }
    }

    /// Whatever comes, nothing panics, and what is no SYN stays as it is.
    #[test]
    fn all_else_stays(v6: bool, cut in 0usize..120, noise in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut data = segment(v6, false, 0x10, &[2, 4, 0xff, 0xff]);
        let before = data.clone();
        clamp(&mut data, |_| Some(1400));
        prop_assert_eq!(&data, &before);
        let mut odd = segment(v6, false, 0x02, &noise);
        odd.truncate(cut);
        clamp(&mut odd, |_| Some(1400));
        let mut noise = noise;
        clamp(&mut noise, |_| Some(1400));
    }
}

#[test]
fn a_fragment_and_another_protocol_stay() {
    for (at, value) in [(14 + 7, 1), (14 + 9, 17)] {
        let mut frame = segment(false, false, 0x02, &[2, 4, 0xff, 0xff]);
        frame[at] = value;
        let before = frame.clone();
        clamp(&mut frame, |_| Some(1400));
        assert_eq!(frame, before);
    }
}
