#!/bin/bash
# Measures tsbox beside its peers, those that are installed, in one run: `make bench`, or `scripts/bench.sh start pull` for some
# groups. As root the contestants run as an ordinary user, in a mount namespace of our own with a plain cgroup v2 mount
# (rootless crun and podman refuse a v1/v2 hybrid). Machines are noisy: compare only within one table.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD

if [ "$(id -u)" = 0 ] && [ "${TSBOX_BENCH_NS:-}" != 1 ]; then
    TSBOX_BENCH_NS=1 exec unshare --mount --propagation private "$0" "$@"
fi
work=${TSBOX_BENCH_WORK:-/var/tmp/tsbox-bench-$(id -u)}
mkdir -p "$work"
if [ "$(id -u)" = 0 ]; then
    user=${TSBOX_BENCH_USER:-$(scripts/test-user)}
    mount --make-rshared /
    if mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null; then
        mkdir -p "/sys/fs/cgroup/bench.$user"
        chown -R "$user:" "/sys/fs/cgroup/bench.$user"
        echo $$ >"/sys/fs/cgroup/bench.$user/cgroup.procs"
    fi
    # an aged disk can be ten times slower than a fresh one: the stores lie on a file system in memory
    disk=$(mktemp /dev/shm/tsbox-bench.XXXXXX)
    truncate -s 12G "$disk" && mkfs.ext4 -q -F -E lazy_itable_init=0 "$disk"
    mkdir -p "$work/user" && mount -o loop "$disk" "$work/user"
    rm -f "$disk" # the mount keeps it
    mkdir -p "$work/user/runtime" "$work/user/.config/containers"
    # without this podman may take vfs, which copies every layer
    printf '[storage]\ndriver = "overlay"\n' >"$work/user/.config/containers/storage.conf"
    chown -R "$user:" "$work/user"
    chmod 700 "$work/user/runtime"
    # podman leaves a process behind that keeps this namespace, and so the file system in memory
    trap 'kill "$(cat "$work/user/runtime/libpod/tmp/pause.pid" 2>/dev/null)" 2>/dev/null || true' EXIT
    setpriv --reuid "$user" --regid "$user" --init-groups --inh-caps=-all \
        env -i HOME="$work/user" USER="$user" LANG=C.UTF-8 PATH="$PATH" XDG_RUNTIME_DIR="$work/user/runtime" \
        BENCH_RUNS="${BENCH_RUNS:-}" BENCH_WORK="$work/user" BENCH_CACHE="$work" node --import tsx scripts/bench.ts "$@"
    exit
fi
mkdir -p "$work/user/runtime"
HOME=$work/user XDG_RUNTIME_DIR=$work/user/runtime BENCH_WORK=$work/user BENCH_CACHE=$work exec node --import tsx "$top/scripts/bench.ts" "$@"
