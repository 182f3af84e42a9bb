#!/usr/bin/env bash
# The life of the Debian package, in a copy of this system that is thrown away: an overlay over /
# in mount, process and network namespaces of its own.
#   tests/package.sh TARGET_DIR     with TARGET_DIR/release/{weftd,weft} and TARGET_DIR/manuals
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

# Process 1 of the copy: the real systemd, with what it needs of a kernel and a target of its own.
if [ "${1:-}" = boot ]; then
    root=$2
    mount -t proc proc "$root/proc"
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    umount "$root/sys"
    mount -t sysfs sys "$root/sys"
    mount -t cgroup2 cgroup "$root/sys/fs/cgroup"
    mount -t bpf bpf "$root/sys/fs/bpf"
    mount -o remount,bind,ro "$root/sys"
    mount -t tmpfs -o mode=755 dev "$root/dev"
    mkdir -p "$root/dev/net" "$root/dev/shm" "$root/dev/pts" "$root/before"
    for node in null zero full random urandom tty; do
        touch "$root/dev/$node"
        mount --bind "/dev/$node" "$root/dev/$node"
    done
    mknod "$root/dev/net/tun" c 10 200
    ln -s /proc/self/fd "$root/dev/fd"
    touch "$root/dev/console"
    cd "$root"
    pivot_root . before
    umount -l /before
    exec chroot . env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=weft \
        /lib/systemd/systemd --system --show-status=no --unit=probe.target </dev/null
fi

if [ "${1:-}" != inside ]; then
    out=$(mktemp -d "${TMPDIR:-/tmp}/weft-package.XXXXXX")
    trap 'rm -rf "$out"' EXIT
    "$here/../control/deb/build.sh" "$1" "$out"
    unshare --net --mount --pid --fork --kill-child --mount-proc -- "$here/package.sh" inside "$out"
    exit
fi
fail() {
    echo "package.sh: $*" >&2
    exit 1
}

# The copy: what is written stays in memory and dies with the namespace.
deb=$(mktemp) && cat "$2"/weft_*.deb >"$deb"
symbols=$(mktemp) && cat "$2"/weft-dbgsym_*.deb >"$symbols"
room=$(mktemp -d)
mount -t tmpfs room "$room"
mkdir "$room"/{upper,work,root}
mount -t overlay copy -o "lowerdir=/,upperdir=$room/upper,workdir=$room/work" "$room/root"
root=$room/root
mount -t proc proc "$root/proc"
mount -t sysfs sys "$root/sys"
mount -t tmpfs run "$root/run"
mount --rbind /dev "$root/dev"
mkdir -p "$root/tmp/package"
mount -t tmpfs package "$root/tmp/package"
mv "$deb" "$root/tmp/package/weft.deb"
mv "$symbols" "$root/tmp/package/weft-dbgsym.deb"
inside() { chroot "$root" env -i PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"; }
mkdir -p /run/netns
mount -t tmpfs names /run/netns
ip link set lo up

# A service manager that only remembers what it was told.
mkdir -p "$root/run/systemd/system"
for tool in systemctl systemd-tmpfiles; do
    # What to enable stands in files, which the real one writes without a manager.
    cat >"$root/usr/local/sbin/$tool" <<END
#!/bin/sh
echo "$tool \$*" >>/tmp/package/told
case "\$*" in *preset*) exec /usr/bin/$tool "\$@" ;; esac
END
    chmod 755 "$root/usr/local/sbin/$tool"
done
rm -f "$root/usr/sbin/policy-rc.d"

# What a stock switch leaves behind, for the name that is to be ours, when it is removed.
requires=$root/etc/systemd/system/openvswitch-switch.service.requires
mkdir -p "$requires"
ln -sf /lib/systemd/system/ovs-record-hostname.service "$requires/"

# Two packets in a file, and what the stock tools make of them.
python3 - "$root/tmp/package/two.pcap" <<'END'
import struct, sys
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    for length in (60, 75):
        packet = bytes.fromhex("ffffffffffff02000000000108060001") + bytes(range(length - 16))
        file.write(struct.pack("<IIII", 1, 2, length, length) + packet)
END
dump() {
    inside ovs-pcap /tmp/package/two.pcap
    inside sh -c "tcpdump -nn -xx -r /tmp/package/two.pcap 2>/dev/null | ovs-tcpundump"
}
stock_dump=$(dump)
[ "$(wc -l <<<"$stock_dump")" = 4 ] || fail "the stock tools print no packets: $stock_dump"

echo "== install"
inside dpkg -s openvswitch-switch >/dev/null || fail "the stock switch is not there to be replaced"
inside dpkg -i /tmp/package/weft.deb
inside dpkg -s openvswitch-switch 2>/dev/null | grep -q '^Status: install ok installed' &&
    fail "the stock switch is still there"
grep -q ' restart weft.service$' "$root/tmp/package/told" || fail "the service was not started"
links=multi-user.target.wants/weft.service
for link in $links; do
    [ -L "$root/etc/systemd/system/$link" ] || fail "the service is not enabled: no $link"
done
for name in openvswitch-switch ovsdb-server ovs-vswitchd; do
    [ "$(inside readlink -f "/lib/systemd/system/$name.service")" = \
        "$(inside readlink -f /lib/systemd/system/weft.service)" ] ||
        fail "who waits for $name.service waits for nothing"
done
for need in "$requires"/*; do
    inside test -e "/lib/systemd/system/$(basename "$need")" ||
        fail "the service would not start: it requires $(basename "$need"), which is gone"
done
for page in man8/weftd.8 man1/weft.1 man1/weft-show.1 man1/ovs-vsctl.1; do
    inside gzip -cd "/usr/share/man/$page.gz" | grep -q '^\.SH' || fail "no manual page $page"
done
inside bash -n /usr/share/bash-completion/completions/weft || fail "the completion is no bash"
[ "$(inside readlink -f /usr/bin/ovs-vsctl)" = /usr/bin/weft ] || fail "ovs-vsctl is not ours"
[ "$(inside ovs-vsctl --version | head -n 1)" = "ovs-vsctl (Open vSwitch) 3.1.0" ] ||
    fail "scripts do not know this ovs-vsctl: $(inside ovs-vsctl --version)"

echo "== the tools of the stock package"
[ "$(dump)" = "$stock_dump" ] || fail "ovs-pcap or ovs-tcpundump print other packets: $(dump)"

echo "== run, by the real systemd"
unit=$root/lib/systemd/system/weft.service
start=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
[ "$start" = /usr/sbin/weftd ] || fail "the unit starts '$start'"
inside systemd-analyze verify /lib/systemd/system/weft.service || fail "systemd does not like the unit"
# Somebody who configures the switch as netplan does, and what is started.
cat >"$root/run/systemd/system/netplan-ovs-probe.service" <<'END'
[Unit]
DefaultDependencies=no
Wants=ovsdb-server.service
After=ovsdb-server.service
Before=network.target
Wants=network.target
[Service]
Type=oneshot
ExecStart=/usr/bin/ovs-vsctl --timeout=10 --may-exist add-br netplan0
END
cat >"$root/run/systemd/system/probe.target" <<'END'
[Unit]
DefaultDependencies=no
Wants=netplan-ovs-probe.service
END
unshare --mount --pid --cgroup --ipc --uts --fork --kill-child -- "$here/package.sh" boot "$root" &
container=$!
for _ in $(seq 100); do init=$(pgrep -P $container) && break || sleep 0.1; done
# A command beside the daemon, in the namespaces of its process 1.
beside() {
    nsenter --target "$init" --mount --pid --cgroup --ipc --uts --root --wd -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C "$@"
}
journal() { beside journalctl --quiet --unit weft.service "$@"; }
vsctl() { beside ovs-vsctl --timeout=10 "$@"; }
for _ in $(seq 300); do
    [ "$(beside /usr/bin/systemctl is-active netplan-ovs-probe.service 2>/dev/null)" = inactive ] &&
        [ -S "$root/run/openvswitch/db.sock" ] && [ "$(vsctl list-br 2>/dev/null)" = netplan0 ] && break
    sleep 0.1
done
[ "$(vsctl list-br)" = netplan0 ] || fail "no bridge of the netplan unit: $(journal; beside journalctl -n 50)"
for name in weft openvswitch-switch ovsdb-server ovs-vswitchd; do
    beside /usr/bin/systemctl --quiet is-active "$name.service" || fail "$name.service is not active"
done
main=$(beside /usr/bin/systemctl show --property MainPID --value weft.service)
confined=$(beside grep -E '^(CapBnd|NoNewPrivs|Seccomp):' "/proc/$main/status" | tr -s '\t\n' ' ')
# net_admin, net_raw, ipc_lock, perfmon, bpf
[ "$confined" = "CapBnd: 000000c000007000 NoNewPrivs: 1 Seccomp: 2 " ] || fail "not confined: $confined"

ip netns add guest
ip link add veth1 type veth peer name eth0 netns guest
ip link set veth1 up
ip -n guest link set eth0 up
ip -n guest addr add 10.0.0.1/24 dev eth0
ip link add uplink type veth peer name eth1 netns guest
ip link set uplink up
ip -n guest link set eth1 up
ip addr add 192.0.2.1/24 dev uplink
vsctl set open . other_config:pmd-cpu-mask=0x1 -- add-br br0 -- add-port br0 veth1 \
    -- add-port br0 vx0 -- set interface vx0 type=vxlan options:remote_ip=192.0.2.2 \
    -- add-port br0 int0 -- set interface int0 type=internal
vsctl set-manager ptcp:6640:127.0.0.1
beside ovs-vsctl --timeout=10 --db=tcp:127.0.0.1:6640 get interface veth1 ofport >/dev/null ||
    fail "the database does not listen where the manager row says"
ip addr add 10.0.0.254/24 dev br0
ip link set br0 up
# Ports open after the service is ready.
ping_through() {
    for _ in $(seq 25); do
        ip netns exec guest ping -c 1 -W 1 10.0.0.254 >/dev/null && return
    done
    return 1
}
ping_through || fail "no ping through the switch: $(journal)"
[ -z "$(vsctl --bare --columns=error find interface 'error!=[]')" ] || fail "ports with errors: $(vsctl show)"
grep -q LOCAL <<<"$(beside ovs-appctl fdb/show br0)" || fail "ovs-appctl of openvswitch-common does not work"
judged=$(beside weft doctor) || fail "weft doctor: $judged"
# The tools, while there is traffic.
ip netns exec guest ping -i 0.2 10.0.0.254 >/dev/null &
pinging=$!
seen=$(beside timeout 20 ovs-tcpdump -i veth1 -nn -c 2 icmp 2>/dev/null) || true
[ "$(grep -c 'ICMP echo' <<<"$seen")" = 2 ] || fail "ovs-tcpdump sees no pings: $seen"
top=$(beside ovs-dpctl-top --script)
grep -q 'in_port' <<<"$top" || fail "ovs-dpctl-top shows no flows: $top"
kill $pinging
# A restart takes over the XDP programs: frames of the host pass meanwhile.
[ -n "$(beside ls /sys/fs/bpf/weft/)" ] || fail "XDP links are not pinned: $(journal)"
beside /usr/bin/systemctl restart weft.service || fail "it does not restart: $(journal)"
ping_through || fail "no ping after a restart: $(journal)"
said=$(journal)
grep -E 'stale XDP|not permitted|Permission denied|Read-only' <<<"$said" && fail "the unit forbids too much"
grep -q '^PRIORITY=6' <<<"$(journal --output=export)" || fail "the journal gets no levels"
# The hooks of the stock package went with it.
cat >"$root/etc/network/interfaces" <<'END'
allow-ovs vmbr0
iface vmbr0 inet manual
    ovs_type OVSBridge
    ovs_ports vlan31
allow-vmbr0 vlan31
iface vlan31 inet manual
    ovs_type OVSIntPort
    ovs_bridge vmbr0
    ovs_options tag=31
END
mkdir -p "$root/run/network"
beside ifup --allow=ovs vmbr0 || fail "ifup does not bring a bridge up"
[ "$(vsctl get port vlan31 tag)" = 31 ] || fail "ifup made no port"
beside ifdown --allow=ovs vmbr0
[ "$(vsctl list-br | paste -sd' ')" = "br0 netplan0" ] || fail "ifdown left a bridge"
vsctl del-br netplan0 -- del-manager -- clear open . other_config
beside /usr/bin/systemctl stop weft.service || fail "it does not stop: $(journal)"
kill -9 "$init"
wait $container 2>/dev/null || true
vsctl() { inside ovs-vsctl --timeout=10 "$@"; }

echo "== rotate the log"
rotate() {
    cat >"$root/tmp/package/rotate" && inside sh -e /tmp/package/rotate
}
inside "$start" --detach --log-file
log=$root/var/log/openvswitch/weftd.log
mv "$log" "$log.1"
sed -n '/postrotate/,/endscript/{//!p}' "$root/etc/logrotate.d/weft" | rotate || fail "postrotate fails"
for _ in $(seq 50); do [ -e "$log" ] && break || sleep 0.1; done
vsctl add-port br0 rotated -- set interface rotated type=internal
grep -q 'rotated: internal port' "$log" || fail "the new log is not written"
vsctl del-port rotated

echo "== debug symbols"
# Where main() is, which a stripped program cannot tell: by the other package, and not without it.
inside dpkg -i /tmp/package/weft-dbgsym.deb
for program in /usr/sbin/weftd /usr/bin/weft; do
    main=$(inside nm "/usr/lib/debug$program.debug" | sed -n 's/ T main$//p')
    line() { inside addr2line -f -e "$program" "0x$main" | head -n 1; }
    [ "$(line)" = main ] || fail "$program: no symbols: $(line)"
    mv "$root/usr/lib/debug$program.debug" "$root/tmp/package/aside"
    [ "$(line)" != main ] || fail "$program is not stripped"
    mv "$root/tmp/package/aside" "$root/usr/lib/debug$program.debug"
done
inside dpkg -r weft-dbgsym

echo "== upgrade"
# Who disabled the service wants it so after an upgrade.
for link in $links; do rm "$root/etc/systemd/system/$link"; done
echo 'WEFTD_OPTS="--delete-bridges"' >"$root/etc/default/weft"
inside dpkg-deb -R /tmp/package/weft.deb /tmp/package/next
sed -i 's/^Version: .*/&+1/' "$root/tmp/package/next/DEBIAN/control"
inside dpkg-deb -b /tmp/package/next /tmp/package/next.deb >/dev/null
inside dpkg -i /tmp/package/next.deb
inside dpkg-query -W -f='${Version}' weft | grep -q '+1$' || fail "not upgraded"
grep -q delete-bridges "$root/etc/default/weft" || fail "the operator's options are gone"
for link in $links; do
    [ ! -L "$root/etc/systemd/system/$link" ] || fail "the upgrade enabled the service: $link"
done
inside ovs-appctl version >/dev/null || fail "the upgrade killed the switch"
inside ovs-appctl exit
# What the unit would do with the options of either package.
files=$(sed -n 's/^EnvironmentFile=-//p' "$unit")
mkdir -p "$root/etc/default"
for where in /etc/default/weft:WEFTD_OPTS /etc/default/openvswitch-switch:OVS_CTL_OPTS; do
    for file in $files; do echo "# none" >"$root$file"; done
    echo "${where#*:}='--delete-bridges'" >"$root${where%:*}"
    inside sh -ac "for file in $(echo $files); do . \$file; done; $start --detach \$WEFTD_OPTS" \
        2>>"$root/tmp/package/log" || fail "does not start again: $(cat "$root/tmp/package/log")"
    [ -z "$(vsctl list-br)" ] || fail "$where: --delete-bridges left $(vsctl list-br)"
    vsctl add-br br0
    inside ovs-appctl exit
done

echo "== remove"
# What else is installed here may want a switch; that is not the question.
inside dpkg -r --force-depends weft
for gone in /usr/sbin/weftd /usr/bin/ovs-vsctl /lib/systemd/system/weft.service; do
    [ ! -e "$root$gone" ] || fail "$gone is left behind"
done
[ -s "$root/etc/openvswitch/conf.db" ] || [ -s "$root/var/lib/openvswitch/conf.db" ] ||
    fail "the database is gone with the package"
grep -q ' stop weft.service$' "$root/tmp/package/told" || fail "the service runs on"
for link in $links; do
    [ ! -L "$root/etc/systemd/system/$link" ] || fail "$link is left behind"
done
inside dpkg -P --force-depends weft
[ ! -e "$root/etc/default/weft" ] || fail "purged, but /etc/default/weft is there"
echo "== all of it"
