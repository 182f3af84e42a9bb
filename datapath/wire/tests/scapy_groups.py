"""Builds IGMP and MLD frames with scapy, for scapy_groups.rs.

    scapy_groups.py SEED COUNT    one random frame per line: its bytes and what they say
"""
import json
import logging
import random
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)

from scapy.contrib.igmp import IGMP  # noqa: E402
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mq, IGMPv3mr  # noqa: E402
from scapy.layers.inet import IP, IPOption_Router_Alert  # noqa: E402
from scapy.layers.inet6 import (  # noqa: E402
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLQuery2,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Ether  # noqa: E402

R = random.Random(int(sys.argv[1]))


def group4():
    return "239.%d.%d.%d" % tuple(R.getrandbits(8) for _ in range(3))


def group6():
    return "ff05:" + ":".join("%x" % R.randrange(1, 0x10000) for _ in range(7))


def source6():
    return "fe80:" + ":".join("%x" % R.randrange(1, 0x10000) for _ in range(7))


def records(group, source):
    return [(R.randrange(1, 7), group(), [source() for _ in range(R.randrange(4))]) for _ in range(R.randrange(5))]


def igmp():
    base = Ether(dst="01:00:5e:00:00:16") / IP(src="10.0.0.1", dst="224.0.0.22", ttl=1, options=[IPOption_Router_Alert()])
    kind = R.choice(["query", "query3", "report1", "report2", "leave", "report3"])
    group, code = group4(), R.randrange(1, 128)
    if kind == "report3":
        all = records(group4, lambda: "10.1.2.%d" % R.randrange(256))
        message = IGMPv3(type=0x22) / IGMPv3mr(
            records=[IGMPv3gr(rtype=k, maddr=g, srcaddrs=s, numsrc=len(s)) for k, g, s in all], numgrp=len(all))
        return base / message, {"is": kind, "records": all}
    if kind == "query3":
        sources = ["10.1.2.%d" % R.randrange(256) for _ in range(R.randrange(4))]
        message = IGMPv3(type=0x11, mrcode=code) / IGMPv3mq(gaddr=group, srcaddrs=sources, numsrc=len(sources), qqic=77)
        return base / message, {"is": kind, "group": group, "sources": len(sources), "qqic": 77}
    number = {"query": 0x11, "report1": 0x12, "report2": 0x16, "leave": 0x17}[kind]
    code = code if kind == "query" else 0
    return base / IGMP(type=number, mrcode=code, gaddr=group), {"is": kind, "group": group}


def mld():
    base = Ether(dst="33:33:00:00:00:16") / IPv6(src=source6(), dst="ff02::16", hlim=1)
    base = base / IPv6ExtHdrHopByHop(options=[RouterAlert()])
    kind = R.choice(["query", "query2", "report", "done", "report2"])
    group = group6()
    if kind == "report2":
        all = records(group6, source6)
        message = ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=k, dst=g, sources=s) for k, g, s in all])
        return base / message, {"is": "mld " + kind, "records": all}
    if kind == "query2":
        sources = [source6() for _ in range(R.randrange(4))]
        message = ICMPv6MLQuery2(mladdr=group, mrd=R.getrandbits(15), sources=sources, QQIC=88)
        return base / message, {"is": "mld query2", "group": group, "sources": len(sources), "qqic": 88}
    if kind == "query":
        return base / ICMPv6MLQuery(mladdr=group, mrd=R.getrandbits(15)), {"is": "mld query", "group": group}
    message = {"report": ICMPv6MLReport, "done": ICMPv6MLDone}[kind](mladdr=group)
    return base / message, {"is": "mld " + kind, "group": group}


for number in range(int(sys.argv[2])):
    frame, reading = R.choice([igmp, mld])()
    print(json.dumps({"hex": bytes(frame).hex(), "reading": reading}))
