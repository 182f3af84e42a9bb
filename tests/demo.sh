#!/usr/bin/env bash
# `make demo`: three hosts behind a router, one weftd in each, joined into one Ethernet by GRE tunnels
# with the stock ovs-vsctl.  Everything runs in namespaces that end with this script.
#   WEFTD, WEFT   the programs (default: target/release)
#   KEEP=1        leaves the hosts up and opens a shell
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
export WEFTD WEFT
WEFTD=$(realpath -m "${WEFTD:-$here/../target/release/weftd}")
WEFT=$(realpath -m "${WEFT:-$here/../target/release/weft}")

if [ -z "${DEMO_DIR:-}" ]; then
    for program in "$WEFTD" "$WEFT"; do
        [ -x "$program" ] || { echo "$program is missing: run make build" >&2; exit 1; }
    done
    DEMO_DIR=$(mktemp -d "${TMPDIR:-/tmp}/weft-demo.XXXXXX")
    export DEMO_DIR
    trap 'rm -rf "$DEMO_DIR"' EXIT
    # Ctrl-C reaches the inner script too, which cleans up; this one waits for it.  When this one is
    # killed, the kernel takes the inner one and all that it started.
    trap : HUP INT TERM
    setpriv --pdeathsig KILL "$here/isolated.sh" "$(readlink -f "$0")" || exit
    exit 0
fi

trap 'exit 130' HUP INT TERM
# Logs, databases and the file to send are gone with this place.
mount -t tmpfs weft-demo "$DEMO_DIR"
# Prompts go to the screen also where a command's output does not.
exec 2>&1 3>&1
export OVS_CTL_TIMEOUT=10
hosts=(server1 server2 server3)
stage="starting"

bold='' plain=''
[ -t 1 ] && bold=$'\e[1m' plain=$'\e[0m'

title() { stage=$*; printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '   %s\n' "$@"; }

# on HOST COMMAND...: runs it there, with the stock tools pointed at that host's daemon.
on() {
    local host=$1
    shift
    OVS_RUNDIR=$DEMO_DIR/$host ip netns exec "$host" "$@"
}

# say HOST COMMAND...: shows the command as one would type it, then runs it.
say() {
    local host=$1 shown
    shift
    shown=${*/#"$WEFT"/weft}
    printf '%s[%s]# %s%s\n' "$bold" "$host" "$shown" "$plain" >&3
    on "$host" "$@"
}

# soon SECONDS COMMAND...: tries until it works.
soon() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.3
    done
}

finish() {
    local status=$? host pid
    trap - EXIT
    set +e
    if [ $status != 0 ]; then
        for host in "${hosts[@]}"; do
            [ -s "$DEMO_DIR/$host/weftd.log" ] || continue
            echo "--- last lines of weftd's log on $host"
            tail -15 "$DEMO_DIR/$host/weftd.log"
        done
    fi
    for host in "${hosts[@]}"; do
        pid=$(cat "$DEMO_DIR/$host/ovs-vswitchd.pid" 2>/dev/null) && kill "$pid" 2>/dev/null
    done
    echo
    if [ $status = 0 ]; then
        echo "${bold}demo passed${plain} in $SECONDS s; the hosts are gone, nothing is left behind"
    else
        echo "${bold}demo failed at: $stage${plain} (status $status)"
    fi
    exit $status
}
trap finish EXIT

title "Three hosts behind a router: 1.1.1.1, 2.2.2.2, 3.3.3.3, each with a gateway of its own"
ip netns add router
ip netns exec router sysctl -qw net.ipv4.ip_forward=1
for n in 1 2 3; do
    host=server$n
    ip netns add $host
    ip -n $host link set lo up
    ip link add eth0 netns $host type veth peer name to-$host netns router
    ip -n router addr add $n.$n.$n.254/24 dev to-$host
    ip -n router link set to-$host up
    ip -n $host addr add $n.$n.$n.$n/24 dev eth0
    ip -n $host link set eth0 up
    ip -n $host route add default via $n.$n.$n.254
done
soon 5 on server1 ping -c1 -W1 2.2.2.2
soon 5 on server1 ping -c1 -W1 3.3.3.3
note "namespaces server1, server2, server3 and router; no offload of any device is touched"

title "One weftd on each host: no ovsdb-server, no ovs-vswitchd, no kernel module"
for host in "${hosts[@]}"; do
    mkdir "$DEMO_DIR/$host"
    printf '%s[%s]# weftd --detach%s\n' "$bold" "$host" "$plain"
    on "$host" "$WEFTD" --rundir "$DEMO_DIR/$host" --db "$DEMO_DIR/$host/conf.db" \
        --pidfile="$DEMO_DIR/$host/ovs-vswitchd.pid" --log-file="$DEMO_DIR/$host/weftd.log" --detach
done

title "The bridge and its tunnels, with the stock ovs-vsctl"
vsctl() {
    local host=$1
    shift
    say "$host" ovs-vsctl "$@"
}
for host in "${hosts[@]}"; do vsctl "$host" add-br br0; done
vsctl server1 add-port br0 gre1 -- set interface gre1 type=gre options:remote_ip=2.2.2.2
note "The guide that this demo follows names gre1 twice; the client refuses that, as it should:"
if vsctl server1 add-port br0 gre1 -- set interface gre2 type=gre options:remote_ip=3.3.3.3; then
    note "it was not refused"
    exit 1
fi
note "What was meant:"
vsctl server1 add-port br0 gre2 -- set interface gre2 type=gre options:remote_ip=3.3.3.3
vsctl server2 add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=1.1.1.1
vsctl server3 add-port br0 gre0 -- set interface gre0 type=gre options:remote_ip=1.1.1.1
note "Server 2 and 3 are joined directly too.  That closes a loop, so tunnel ends are put into one" \
    "split-horizon group first: what comes in on one never goes out of another."
horizon=other_config:split-horizon=mesh
vsctl server1 -- set port gre1 $horizon -- set port gre2 $horizon
vsctl server2 set port gre0 $horizon
vsctl server3 set port gre0 $horizon
vsctl server2 add-port br0 gre2 -- set port gre2 $horizon \
    -- set interface gre2 type=gre options:remote_ip=3.3.3.3
vsctl server3 add-port br0 gre1 -- set port gre1 $horizon \
    -- set interface gre1 type=gre options:remote_ip=2.2.2.2

title "Addresses on br0"
for n in 1 2 3; do
    say server$n ip link set br0 up
    say server$n ip addr add 10.244.$n.0/16 broadcast 10.244.255.255 dev br0
done
note "Nobody has to work out an MTU: GRE costs 38 of the underlay's 1500 bytes (IPv4 20, GRE 4, inner" \
    "Ethernet 14), and br0 has what is left:"
say server1 ip -o link show br0 | grep -o 'mtu [0-9]*' | tee "$DEMO_DIR/mtu"
grep -qx 'mtu 1462' "$DEMO_DIR/mtu"

title "Ping between all pairs"
for from in 1 2 3; do
    for to in 1 2 3; do
        [ $from != $to ] || continue
        say server$from ping -c 2 -i 0.2 -W 2 10.244.$to.0 >"$DEMO_DIR/ping" || true
        grep -q ' 0% packet loss' "$DEMO_DIR/ping" || { cat "$DEMO_DIR/ping"; exit 1; }
        note "$(tail -1 "$DEMO_DIR/ping")"
    done
done

title "20 MB by TCP from server1 to server3"
head -c 20000000 /dev/urandom >"$DEMO_DIR/sent"
on server3 timeout 60 socat -u TCP-LISTEN:5001,reuseaddr "CREATE:$DEMO_DIR/received" &
receiver=$!
soon 5 bash -c 'ip netns exec server3 ss -Hltn | grep -q :5001'
start=$(date +%s%N)
say server1 socat -u "FILE:$DEMO_DIR/sent" TCP:10.244.3.0:5001,connect-timeout=10
wait $receiver
took_ms=$((($(date +%s%N) - start) / 1000000))
cmp "$DEMO_DIR/sent" "$DEMO_DIR/received"
note "20,000,000 bytes in $took_ms ms: $((20000 / took_ms)) MB/s, SHA-256 equal on both ends:" \
    "$(sha256sum <"$DEMO_DIR/received" | cut -c1-32)..."

title "What the operator sees"
say server1 ovs-vsctl show
say server1 ovs-appctl fdb/show br0
say server1 "$WEFT" show
say server1 "$WEFT" drops

title "What the wire carries, seen by the router"
wire=$DEMO_DIR/wire
ip netns exec router tcpdump -nne -c 2 -i to-server1 \
    'proto gre and ip[36:2] = 0x800 and ip[24] & 1 = 0' >"$wire" 2>"$wire.err" &
capture=$!
soon 5 grep -q listening "$wire.err"
on server1 ping -c 3 -i 0.3 -W 2 10.244.2.0 >/dev/null
timeout 5 tail --pid=$capture -f /dev/null || kill $capture
sed 's/^[^ ]* /   /; s/: \([0-9.]* > [0-9.]*: GREv0\)/\n      \1/; s/length [0-9]*: \(..:..:..\)/\n      \1/' "$wire"
grep -q 'GREv0.*proto TEB' "$wire"

if [ "${KEEP:-}" = 1 ]; then
    title "The hosts stay up until you leave this shell"
    stage="the shell"
    cat >"$DEMO_DIR/rc" <<RC
PS1='weft-demo# '
weft() { server1 "$WEFT" "\$@"; }
$(for host in "${hosts[@]}"; do
        echo "$host() { OVS_RUNDIR=$DEMO_DIR/$host ip netns exec $host \"\$@\"; }"
    done)
RC
    note "server1, server2 and server3 run a command on that host:" \
        "  server1 ping 10.244.3.0" \
        "  server2 ovs-vsctl add-port br0 p1 -- set interface p1 type=internal" \
        "  server2 ovs-appctl fdb/show br0" \
        "  weft show; weft drops --watch; weft capture gre1 | tcpdump -nr -     (on server1)" \
        "  server3 kill -9 \$(cat $DEMO_DIR/server3/ovs-vswitchd.pid)           (and see who notices)"
    bash --rcfile "$DEMO_DIR/rc" -i || true
fi
