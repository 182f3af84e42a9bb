//! Every way a frame can die, each with a name and a counter.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a frame was dropped.  A frame that is not sent has exactly one of these.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason { $($(#[$doc])* $variant,)* }

        impl DropReason {
            /// All reasons, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// How many reasons there are; the length of a counter array.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in `weft drops` and in captures.  Stable: people write alerts on it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

reasons! {
    /// Shorter than an Ethernet header, or than the tags it announces.
    Truncated = "truncated",
    /// The source address is a group address, which no station may use (IEEE 802.3 3.2.3).
    GroupSource = "group_source",
    /// The destination was learned on the port that the frame came in on.
    Reflection = "reflection",
    /// A link-local group address (01:80:c2:00:00:0x and friends), which bridges do not forward.
    Reserved = "reserved",
    /// The VLAN of the frame is not one of the ingress port's.
    IngressVlan = "ingress_vlan",
    /// The VLAN of the frame is not one of the only possible egress port's.
    EgressVlan = "egress_vlan",
    /// The ingress port does not forward (spanning tree, or the bridge's `fail_mode` is `secure`).
    PortBlocked = "port_blocked",
    /// Ingress and egress port are of one split-horizon group.
    SplitHorizon = "split_horizon",
    /// There is no other port to send the frame to.
    NoMember = "no_member",
    /// The ingress port was removed from its bridge, or the link has no port.
    NoPort = "no_port",
    /// The frame would not fit the egress MTU and may not be fragmented.
    ExceedsMtu = "exceeds_mtu",
    /// The transmit ring was full.
    TxRing = "tx_ring",
    /// The worker that has the port did not take frames over fast enough.
    WorkerRing = "worker_ring",
    /// The device to send on is down.
    LinkDown = "link_down",
    /// No free frame was left for a copy.
    NoBuffer = "no_buffer",
    /// The outer headers did not fit in front of the frame.
    NoHeadroom = "no_headroom",
    /// The tunnel's remote end cannot be reached: no route, or its neighbour does not answer.
    NoRoute = "no_route",
    /// The tunnel's remote end is for flows to choose (`remote_ip=flow`), and none did.
    FlowRemote = "flow_remote",
    /// Too many frames wait for a neighbour's address already.
    WaitFull = "wait_full",
    /// The port is the output of a mirror: only copies leave by it, nothing comes in.
    MirrorPort = "mirror_port",
    /// The patch port has no peer.
    NoPeer = "no_peer",
    /// The frame has gone through [`crate::act::PATCH_HOPS_MAX`] patch ports: they form a loop.
    PatchHops = "patch_hops",
    /// One received batch has sent [`crate::act::PATCH_FRAMES_MAX`] frames through patch ports.
    PatchFull = "patch_full",
    /// An outer IPv4 header shorter than 20 bytes, or longer than the frame.
    BadIhl = "bad_ihl",
    /// The outer IPv4 header checksum is wrong.
    IpChecksum = "ip_csum",
    /// The outer IP total length is longer than the frame.
    IpTruncated = "ip_truncated",
    /// An outer fragment; tunnels do not reassemble.
    OuterFragment = "outer_frag",
    /// The outer source is no address of one host: group, broadcast, loopback or unspecified.
    OuterSource = "outer_source",
    /// More IPv6 extension headers than are walked.
    OuterExtensions = "outer_ext",
    /// Neither GRE nor a known UDP tunnel.
    NotTunnel = "not_tunnel",
    /// The GRE header is cut short.
    GreShort = "gre_short",
    /// GRE reserved bits that RFC 2784 section 2.3 makes a receiver discard.
    GreFlags = "gre_flags",
    /// GRE version other than 0.
    GreVersion = "gre_ver",
    /// The GRE checksum is wrong.
    GreChecksum = "gre_csum",
    /// The GRE payload is not Ethernet.
    GreProtocol = "gre_proto",
    /// The UDP length is shorter than the headers inside, or longer than the packet.
    UdpLength = "udp_len",
    /// The UDP checksum is wrong.
    UdpChecksum = "udp_csum",
    /// UDP over IPv6 without checksum, for a tunnel that neither names its remote end nor is
    /// configured to do without.
    Udp6Zero = "udp6_zero",
    /// Geneve version other than 0.
    GeneveVersion = "gnv_ver",
    /// Geneve options reach beyond the packet.
    GeneveOptLen = "gnv_optlen",
    /// Geneve options do not fill their space.
    GeneveOptions = "gnv_opts",
    /// A Geneve control packet (O bit), whose payload must not be forwarded.
    GeneveControl = "gnv_control",
    /// The Geneve payload is not Ethernet.
    GeneveProtocol = "gnv_proto",
    /// A critical Geneve option that is not understood.
    GeneveCritical = "gnv_critical",
    /// The VXLAN I bit is 0: there is no VNI.
    VxlanFlags = "vxlan_flags",
    /// The tunnelled frame is shorter than an Ethernet header.
    InnerShort = "inner_short",
    /// No tunnel between these two addresses.
    NoTunnel = "no_tunnel",
    /// There are GRE tunnels between these two addresses, none with this key.
    Key = "key",
    /// There are Geneve or VXLAN tunnels between these two addresses, none with this VNI.
    Vni = "vni",
    /// Inner Not-ECT under outer CE (RFC 6040 section 4.2).
    Ecn = "ecn",
}

#[cfg(test)]
mod tests {
    use super::*;

    /// People graph these names: the list that they read must be the list that there is.
    #[test]
    fn every_reason_is_documented() {
        let readme = include_str!("../../../README.md");
        for reason in DropReason::ALL {
            let row = format!("| `{}` |", reason.name());
            assert!(readme.contains(&row), "datapath/README.md has no row for {}", reason.name());
        }
    }
}
