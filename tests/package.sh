#!/usr/bin/env bash
# The life of the Debian package, in a copy of this system that is thrown away: an overlay over /
# in mount, process and network namespaces of its own.
#   tests/package.sh TARGET_DIR     with TARGET_DIR/release/{weftd,weft} and TARGET_DIR/manuals
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
if [ "${1:-}" != inside ]; then
    out=$(mktemp -d "${TMPDIR:-/tmp}/weft-package.XXXXXX")
    trap 'rm -rf "$out"' EXIT
    "$here/../control/deb/build.sh" "$1" "$out"
    unshare --net --mount --pid --fork --kill-child -- "$here/package.sh" inside "$out"
    exit
fi
fail() {
    echo "package.sh: $*" >&2
    exit 1
}

# The copy: what is written stays in memory and dies with the namespace.
deb=$(mktemp) && cat "$2"/weft_*.deb >"$deb"
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

echo "== install"
inside dpkg -s openvswitch-switch >/dev/null || fail "the stock switch is not there to be replaced"
inside dpkg -i /tmp/package/weft.deb
inside dpkg -s openvswitch-switch 2>/dev/null | grep -q '^Status: install ok installed' &&
    fail "the stock switch is still there"
grep -q ' restart weft.service$' "$root/tmp/package/told" || fail "the service was not started"
links="multi-user.target.wants/weft.service openvswitch-switch.service"
for link in $links; do
    [ -L "$root/etc/systemd/system/$link" ] || fail "the service is not enabled: no $link"
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

echo "== run, with the capabilities of the unit and no more"
unit=$root/lib/systemd/system/weft.service
capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr 'A-Z ' 'a-z,')
bounding=-all$(sed 's/cap_/,+/g; s/,,/,/g' <<<"$capabilities")
start=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
[ "$start" = /usr/sbin/weftd ] || fail "the unit starts '$start'"
mkdir -p "$root/run/openvswitch"
inside socat -u UNIX-RECVFROM:/tmp/package/notify OPEN:/tmp/package/notified,creat &
for _ in $(seq 50); do [ -S "$root/tmp/package/notify" ] && break || sleep 0.1; done
inside env NOTIFY_SOCKET=/tmp/package/notify JOURNAL_STREAM=1:1 \
    setpriv --bounding-set "$bounding" --inh-caps=-all "$start" 2>"$root/tmp/package/log" &
for _ in $(seq 100); do grep -qs READY=1 "$root/tmp/package/notified" && break || sleep 0.1; done
grep -q READY=1 "$root/tmp/package/notified" || fail "not ready: $(cat "$root/tmp/package/log")"

vsctl() { inside ovs-vsctl --timeout=10 "$@"; }
ip netns add guest
ip link add veth1 type veth peer name eth0 netns guest
ip link set veth1 up
ip -n guest link set eth0 up
ip -n guest addr add 10.0.0.1/24 dev eth0
vsctl add-br br0 -- add-port br0 veth1
ip addr add 10.0.0.254/24 dev br0
ip link set br0 up
ip netns exec guest ping -c 1 -W 5 10.0.0.254 >/dev/null || fail "no ping through the switch"
inside ovs-appctl fdb/show br0 | grep -q LOCAL || fail "ovs-appctl of openvswitch-common does not work"
grep -q '^<6>' "$root/tmp/package/log" || fail "the journal gets no levels"
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
inside ifup --allow=ovs vmbr0 || fail "ifup does not bring a bridge up"
[ "$(vsctl get port vlan31 tag)" = 31 ] || fail "ifup made no port"
inside ifdown --allow=ovs vmbr0
[ "$(vsctl list-br)" = br0 ] || fail "ifdown left a bridge"

echo "== rotate the log"
rotate() {
    cat >"$root/tmp/package/rotate" && inside sh -e /tmp/package/rotate
}
inside ovs-appctl exit
inside "$start" --detach --log-file
log=$root/var/log/openvswitch/weftd.log
mv "$log" "$log.1"
sed -n '/postrotate/,/endscript/{//!p}' "$root/etc/logrotate.d/weft" | rotate || fail "postrotate fails"
for _ in $(seq 50); do [ -e "$log" ] && break || sleep 0.1; done
vsctl add-port br0 rotated -- set interface rotated type=internal
grep -q 'rotated: internal port' "$log" || fail "the new log is not written"
vsctl del-port rotated

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
