"""Builds and reads frames with scapy, for scapy_oracle.rs.

    scapy_oracle.py generate SEED COUNT    one random frame per line: its bytes and what scapy reads in them
    scapy_oracle.py read                   for each line of hexadecimal: the same, and the frame that scapy
                                           builds anew from its fields, with lengths and checksums of its own

A reading is a list of objects, one per header, from the outside in; it ends at what no parser here knows.
"""
import json
import logging
import random
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.config import conf  # noqa: E402
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_RR  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6PacketTooBig,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether, GRE  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402
from scapy.contrib.geneve import GENEVE  # noqa: E402
from scapy.packet import Raw  # noqa: E402

EXTENSIONS = (IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
conf.debug_dissector = False
R = random.Random()


def read_layer(layer):
    """One header as an object, or None when this oracle does not speak of it."""
    if isinstance(layer, Ether):
        return {"is": "ethernet", "target": layer.dst, "source": layer.src, "type": layer.type}
    if isinstance(layer, (Dot1Q, Dot1AD)):
        dei = layer.getfieldval("dei" if "dei" in layer.fields_desc_names else "id")
        return {"is": "tag", "pcp": layer.prio, "dei": int(dei), "vid": layer.vlan, "type": layer.type}
    if isinstance(layer, ARP):
        return {"is": "arp", "op": layer.op, "sender": [layer.hwsrc, layer.psrc], "target": [layer.hwdst, layer.pdst]}
    if isinstance(layer, IP):
        return {
            "is": "ipv4", "source": layer.src, "target": layer.dst, "protocol": layer.proto, "tos": layer.tos,
            "ttl": layer.ttl, "id": layer.id, "df": "DF" in layer.flags, "mf": "MF" in layer.flags,
            "offset": layer.frag * 8, "header": layer.ihl * 4, "total": layer.len,
        }
    if isinstance(layer, IPv6):
        return {
            "is": "ipv6", "source": layer.src, "target": layer.dst, "next": layer.nh, "class": layer.tc,
            "flow": layer.fl, "hops": layer.hlim, "payload": layer.plen,
        }
    if isinstance(layer, IPv6ExtHdrFragment):
        return {"is": "fragment", "offset": layer.offset * 8, "more": bool(layer.m), "id": layer.id}
    if isinstance(layer, TCP):
        return {
            "is": "tcp", "ports": [layer.sport, layer.dport], "seq": layer.seq, "ack": layer.ack,
            "header": layer.dataofs * 4, "flags": int(layer.flags), "window": layer.window, "checksum": layer.chksum,
        }
    if isinstance(layer, UDP):
        return {"is": "udp", "ports": [layer.sport, layer.dport], "len": layer.len, "checksum": layer.chksum}
    if isinstance(layer, ICMP):
        mtu = layer.nexthopmtu if (layer.type, layer.code) == (3, 4) else None
        return {"is": "icmp", "type": layer.type, "code": layer.code, "checksum": layer.chksum, "mtu": mtu}
    if type(layer).__name__.startswith("ICMPv6") and hasattr(layer, "cksum"):
        mtu = layer.mtu if isinstance(layer, ICMPv6PacketTooBig) else None
        return {"is": "icmp", "type": layer.type, "code": layer.code, "checksum": layer.cksum, "mtu": mtu}
    if isinstance(layer, GRE):
        return {
            "is": "gre", "type": layer.proto,
            "checksum": layer.chksum if layer.chksum_present else None,
            "key": layer.key if layer.key_present else None,
            "seq": layer.sequence_number if layer.seqnum_present else None,
        }
    if isinstance(layer, VXLAN):
        return {"is": "vxlan", "vni": layer.vni}
    if isinstance(layer, GENEVE):
        return {
            "is": "geneve", "vni": layer.vni, "type": layer.proto, "control": bool(layer.oam),
            "critical": bool(layer.critical), "options": layer.optionlen * 4,
        }
    return None


Dot1Q.fields_desc_names = [field.name for field in Dot1Q.fields_desc]
Dot1AD.fields_desc_names = [field.name for field in Dot1AD.fields_desc]


def read(data):
    """All headers of a frame."""
    reading = []
    layer = Ether(data)
    while layer:
        if not isinstance(layer, EXTENSIONS):
            one = read_layer(layer)
            if one is None:
                break
            reading.append(one)
            # The inside of a fragment is not looked at.
            if one["is"] == "ipv4" and (one["mf"] or one["offset"]):
                break
            if one["is"] == "fragment" and (one["more"] or one["offset"]):
                break
            if one["is"] in ("arp", "icmp", "tcp"):
                break
        layer = layer.payload
    return reading


COMPUTED = {"chksum", "cksum", "len", "plen", "ihl", "dataofs"}


def rebuilt(data):
    """The frame built anew, all that scapy computes computed by it.  A UDP checksum of 0 stays."""
    frame = Ether(data)
    layer = frame
    while layer:
        if not (isinstance(layer, UDP) and layer.chksum == 0):
            for name in COMPUTED & set(layer.fields):
                layer.delfieldval(name)
        else:
            layer.delfieldval("len")
        layer.raw_packet_cache = None
        layer = layer.payload
    return bytes(frame)


def mac():
    return ":".join("%02x" % R.getrandbits(8) for _ in range(6))


def v4():
    return ".".join(str(R.getrandbits(8)) for _ in range(4))


def v6():
    return ":".join("%x" % R.randrange(1, 0x10000) for _ in range(8))


def payload():
    return Raw(R.randbytes(R.choice([0, 1, 2, 7, 18, 64, 333])))


def upper(is_v6, depth):
    """What an IP packet carries."""
    choice = R.randrange(8 if depth < 2 else 4)
    source = R.randrange(50000, 60000)
    if choice == 0:
        options = R.choice([[], [("MSS", 1460)], [("NOP", None), ("WScale", 7), ("Timestamp", (1, 2)), ("NOP", None)]])
        return TCP(sport=source, dport=R.randrange(40000, 45000), seq=R.getrandbits(32), ack=R.getrandbits(32),
                   flags=R.randrange(512), window=R.getrandbits(16), options=options) / payload()
    if choice == 1:
        return UDP(sport=source, dport=R.randrange(40000, 45000), **R.choice([{}, {"chksum": 0}])) / payload()
    if choice == 2 and is_v6:
        return R.choice([
            lambda: ICMPv6EchoRequest(id=R.getrandbits(16), seq=R.getrandbits(16), data=R.randbytes(9)),
            lambda: ICMPv6EchoReply(id=R.getrandbits(16), seq=R.getrandbits(16), data=R.randbytes(8)),
            lambda: ICMPv6PacketTooBig(mtu=R.getrandbits(32)) / Raw(R.randbytes(8)),
            lambda: ICMPv6ND_NS(tgt=v6()),
            lambda: ICMPv6ND_NA(tgt=v6()),
        ])()
    if choice == 2:
        return R.choice([
            lambda: ICMP(type=8, id=R.getrandbits(16), seq=R.getrandbits(16)) / payload(),
            lambda: ICMP(type=0, id=R.getrandbits(16), seq=R.getrandbits(16)) / payload(),
            lambda: ICMP(type=3, code=4, nexthopmtu=R.getrandbits(16)) / Raw(R.randbytes(28)),
            lambda: ICMP(type=11, code=0) / Raw(R.randbytes(28)),
        ])()
    if choice == 3:
        return Raw(R.randbytes(12))
    if choice in (4, 5):
        gre = GRE(chksum_present=R.getrandbits(1), key_present=R.getrandbits(1), seqnum_present=R.getrandbits(1))
        if gre.key_present:
            gre.key = R.getrandbits(32)
        if gre.seqnum_present:
            gre.sequence_number = R.getrandbits(32)
        if R.getrandbits(2):
            gre.proto = 0x6558
            return gre / frame(depth + 1)
        gre.proto = 0x0800
        return gre / ip(False, depth + 1)
    if choice == 6:
        udp = UDP(sport=source, dport=4789, **R.choice([{}, {"chksum": 0}]))
        return udp / VXLAN(flags=8, vni=R.getrandbits(24)) / frame(depth + 1)
    return UDP(sport=source, dport=6081) / GENEVE(vni=R.getrandbits(24), oam=R.getrandbits(1), proto=0x6558) / frame(depth + 1)


def ip(is_v6, depth):
    """An IP packet."""
    above = upper(is_v6, depth)
    number = 253 if isinstance(above, Raw) else None
    if not is_v6:
        packet = IP(src=v4(), dst=v4(), tos=R.getrandbits(8), ttl=R.getrandbits(8), id=R.getrandbits(16))
        packet.flags = R.choice(["", "DF"])
        packet.options = R.choice([[], [], [IPOption_NOP()] * 4, [IPOption_RR()]])
        if R.randrange(8) == 0:
            packet.flags, packet.frag, above = R.choice([("MF", 0), ("MF", 9), ("", 9)]) + (Raw(R.randbytes(40)),)
            number = 17
        if number is not None:
            packet.proto = number
        return packet / above
    packet = IPv6(src=v6(), dst=v6(), tc=R.getrandbits(8), fl=R.getrandbits(20), hlim=R.getrandbits(8))
    chain = [packet]
    for _ in range(R.choice([0, 0, 1, 2, 3])):
        chain.append(R.choice([IPv6ExtHdrDestOpt, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting])())
    if R.getrandbits(3) == 0:
        chain.insert(1, IPv6ExtHdrHopByHop())
    if R.getrandbits(3) == 0:
        offset, more = R.choice([(0, 0), (0, 1), (5, 1), (77, 0)])
        chain.append(IPv6ExtHdrFragment(offset=offset, m=more, id=R.getrandbits(32)))
    if number is not None:
        chain[-1].nh = number
    whole = chain[0]
    for layer in chain[1:]:
        whole = whole / layer
    return whole / above


def frame(depth=0):
    """An Ethernet frame."""
    whole = Ether(dst=mac(), src=mac())
    for _ in range(R.choice([0, 0, 1, 2])):
        whole = whole / R.choice([Dot1Q, Dot1Q, Dot1AD])(prio=R.randrange(8), vlan=R.randrange(4095))
    choice = R.randrange(8)
    if choice == 0:
        return whole / ARP(op=R.choice([1, 2]), hwsrc=mac(), psrc=v4(), hwdst=mac(), pdst=v4())
    return whole / ip(choice > 4, depth)


def main():
    if sys.argv[1] == "generate":
        R.seed(int(sys.argv[2]))
        for _ in range(int(sys.argv[3])):
            data = bytes(frame())
            # Padding, not all of it zero.
            data += b"\x55" * R.choice([0, 0, max(0, 60 - len(data)), 300])
            print(json.dumps({"hex": data.hex(), "reading": read(data)}))
    else:
        for line in sys.stdin:
            data = bytes.fromhex(line)
            print(json.dumps({"hex": rebuilt(data).hex(), "reading": read(data)}))


main()
