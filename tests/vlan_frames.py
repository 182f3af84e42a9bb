"""Sends broadcast frames with VLAN tags from each device, and tells where they came out, and how.

vlan_frames.py DEVICES FRAMES: device names, comma-separated; frames, comma-separated, each a list of
tags `TPID:PRIORITY:VID` joined by `/`, or `-`.  Prints one line for each frame that came out of a
device: `source-device frame device tags`.
"""

import select
import socket
import struct
import sys
import time

PACKET_AUXDATA, SOL_PACKET, OUTGOING, SO_RCVBUFFORCE = 8, 263, 4, 33
TPIDS = (0x8100, 0x88A8)


def tags_of(text):
    return [] if text == "-" else [tag.split(":") for tag in text.split("/")]


def frame(number, tags):
    head = b"\xff" * 6 + struct.pack(">HI", 0x0206, number)
    for tpid, priority, vid in tags:
        head += struct.pack(">HH", int(tpid, 16), int(priority) << 12 | int(vid))
    return head + b"\x88\xb5" + b"x" * 46


def received(endpoint):
    """The number and the tags of a frame, whether the kernel has taken the outer tag off or not."""
    data, control, _, address = endpoint.recvmsg(2048, 256)
    if address[2] == OUTGOING or data[6:8] != b"\x02\x06":
        return None
    tags, at = [], 12
    for level, kind, aux in control:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH", aux[:20])
            if status & 0x10:
                tags.append((tpid, tci))
    while struct.unpack_from(">H", data, at)[0] in TPIDS:
        tags.append(struct.unpack_from(">HH", data, at))
        at += 4
    return struct.unpack(">I", data[8:12])[0], tags


def show(tags):
    return "/".join(f"{tpid:x}:{tci >> 12}:{tci & 0xfff}" for tpid, tci in tags) or "-"


def main(devices, frames):
    endpoints = {}
    for device in devices:
        endpoint = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        endpoint.bind((device, 0))
        endpoint.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        endpoint.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        endpoints[endpoint] = device
    sent, seen = [], []

    def collect(seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for endpoint in select.select(list(endpoints), [], [], left)[0]:
                if (got := received(endpoint)) is not None:
                    seen.append((got[0], endpoints[endpoint], show(got[1])))

    for endpoint, device in list(endpoints.items()):
        for text in frames:
            endpoint.send(frame(len(sent), tags_of(text)))
            sent.append((device, text))
            collect(0.002)
    collect(1.5)
    for number, device, tags in sorted(seen):
        print(*sent[number], device, tags)


main(sys.argv[1].split(","), sys.argv[2].split(","))
