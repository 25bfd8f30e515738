#!/usr/bin/env bash
# A whole Slurm on one host: munged, a controller and four nodes, each a real daemon with a
# port of its own. Nothing outside DIR is written and no service of the system is used: key,
# sockets, configuration, states and logs are all in DIR. Runs as root or as any other user,
# who then is the only one who can submit.
#
#   tests/slurm/cluster.sh up DIR      start it, wait until all nodes are idle
#   tests/slurm/cluster.sh env DIR     print what a shell needs: eval "$(… env DIR)"
#   tests/slurm/cluster.sh down DIR    end every process of it, wait until they are gone
#   tests/slurm/cluster.sh hold DIR    up, print "ready", down as soon as standard input ends:
#                                      so it cannot outlive who started it
#
# NODES=4 and CPUS=8 (per node, whatever the host has) can be given in the environment.
# Needs Debian's packages slurm-wlm and munge, and python3 to find free ports.
set -euo pipefail

nodes=${NODES:-4}
cpus=${CPUS:-8}
# Debian keeps the daemons where the path of an ordinary user does not look.
PATH=$PATH:/usr/sbin:/sbin

fail() {
    printf 'cluster.sh: %s\n' "$*" >&2
    exit 1
}

# Ports below the range that the kernel gives to outgoing connections, so that no connection
# of anybody takes one between our look and the daemon's bind.
free_ports() {
    python3 - "$1" << 'PYTHON'
import random, socket, sys

found = set()
while len(found) < int(sys.argv[1]):
    port = random.randrange(12000, 32000)
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            continue
    found.add(port)
print(*found)
PYTHON
}

write_configuration() {
    local user host ports index
    user=$(id -un)
    host=$(hostname -s)
    read -r -a ports <<< "$(free_ports $((nodes + 1)))"
    cat > "$dir/slurm.conf" << CONF
ClusterName=shards
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
# Neither cgroups nor task affinity: they want more of the host than a test may take.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1
# The nodes say that they have \$CPUS, not what the one host has that they share.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
SlurmdTimeout=20
InactiveLimit=0
# How long squeue and scontrol know a job that has ended.
MinJobAge=60
CONF
    for ((index = 1; index <= nodes; index++)); do
        printf 'NodeName=node%d NodeHostname=%s NodeAddr=127.0.0.1 Port=%d CPUs=%d State=UNKNOWN\n' \
            "$index" "$host" "${ports[$index]}" "$cpus" >> "$dir/slurm.conf"
    done
    printf 'PartitionName=all Nodes=ALL Default=YES MaxTime=60 State=UP\n' >> "$dir/slurm.conf"
    # Where there is no systemd, nothing may ask it for a scope. Until 23.11 there was no word
    # for no cgroups at all; the plugin for the old ones does nothing unless it is needed.
    local plugin=disabled
    case $(slurmd -V) in *" 2"[0-3].*) plugin=cgroup/v1 ;; esac
    printf 'CgroupPlugin=%s\nIgnoreSystemd=yes\n' "$plugin" > "$dir/cgroup.conf"
}

# daemon NAME COMMAND…: in a session of its own, its process id in DIR/pids/NAME.
daemon() {
    local name=$1
    shift
    setsid "$@" > "$dir/$name.out" 2>&1 < /dev/null &
    printf '%s\n' "$!" > "$dir/pids/$name"
}

# A zombie answers signals but is gone: process 1 of a container may reap late or never.
alive() {
    local state
    state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2> /dev/null) || return 1
    [[ -n $state && $state != [ZX] ]]
}

# until_true SECONDS COMMAND…
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}

all_idle() {
    [[ $(sinfo --noheader --Node --format=%t | grep -cx idle) == "$nodes" ]]
}

# The processes of this cluster's jobs: whoever has its configuration in the environment,
# apart from us and those who called us.
of_jobs() {
    local entry pid
    for entry in /proc/[0-9]*/environ; do
        pid=${entry#/proc/}
        pid=${pid%/environ}
        if { tr '\0' '\n' < "$entry"; } 2> /dev/null | grep -qx "SLURMD_NODENAME=node[0-9]*" \
            && { tr '\0' '\n' < "$entry"; } 2> /dev/null | grep -qxF "SLURM_CONF=$dir/slurm.conf"; then
            printf '%s\n' "$pid"
        fi
    done
}

up() {
    command -v munged > /dev/null && command -v slurmctld > /dev/null && command -v slurmd > /dev/null \
        || fail "needs Debian's packages slurm-wlm and munge"
    [[ ! -e $dir/slurm.conf ]] || fail "$dir has a cluster already: end it with down"
    mkdir -p "$dir"/{munge,state,spool,pids}
    chmod 755 "$dir/munge"
    (umask 077 && head -c 128 /dev/urandom > "$dir/munge/key")
    write_configuration
    export SLURM_CONF=$dir/slurm.conf
    # --force: a directory of a test need not be as guarded as /etc.
    daemon munged munged --foreground --force --socket="$dir/munge/socket" --key-file="$dir/munge/key" \
        --pid-file="$dir/munge/pid" --seed-file="$dir/munge/seed" --log-file="$dir/munge/log"
    until_true 20 munge --no-input --socket="$dir/munge/socket" || give_up "munged does not answer"
    daemon slurmctld slurmctld -D -f "$SLURM_CONF"
    local index
    for ((index = 1; index <= nodes; index++)); do
        daemon "slurmd-node$index" slurmd -D -f "$SLURM_CONF" -N "node$index"
    done
    until_true 60 all_idle || give_up "the nodes do not become idle"
}

give_up() {
    tail -n 20 "$dir"/*.out "$dir"/*.log "$dir"/munge/log >&2 || true
    down
    fail "$*"
}

down() {
    local file pid pids=()
    export SLURM_CONF=$dir/slurm.conf
    if [[ -e $SLURM_CONF ]]; then
        # Jobs first: a step outlives the node's daemon that started it.
        timeout 10 scancel --user="$(id -un)" 2> /dev/null || true
        until_true 10 no_jobs || true
    fi
    for file in "$dir"/pids/slurmd-* "$dir"/pids/slurmctld "$dir"/pids/munged; do
        [[ -e $file ]] || continue
        pid=$(< "$file")
        pids+=("$pid")
        kill -TERM "$pid" 2> /dev/null || true
    done
    for pid in $(of_jobs); do
        pids+=("$pid")
        kill -TERM "$pid" 2> /dev/null || true
    done
    for pid in ${pids[@]+"${pids[@]}"}; do
        until_gone "$pid"
    done
    rm -rf "$dir/pids"
    rm -f "$dir/slurm.conf"
}

no_jobs() {
    [[ -z $(timeout 5 squeue --noheader 2> /dev/null) ]]
}

until_gone() {
    local deadline=$((SECONDS + 10))
    while alive "$1"; do
        if ((SECONDS >= deadline)); then
            kill -KILL "$1" 2> /dev/null || true
        fi
        sleep 0.05
    done
}

[[ $# == 2 ]] || fail "usage: cluster.sh up|env|down|hold DIR"
case $1 in up | hold) mkdir -p "$2" ;; esac
dir=$(cd "$2" 2> /dev/null && pwd) || fail "no directory $2"
case $1 in
    up) up ;;
    down) down ;;
    env) printf 'export SLURM_CONF=%q\n' "$dir/slurm.conf" ;;
    hold)
        trap down EXIT
        up
        echo ready
        cat > /dev/null
        ;;
    *) fail "usage: cluster.sh up|env|down|hold DIR" ;;
esac
