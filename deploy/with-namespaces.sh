#!/usr/bin/env bash
# with-namespaces.sh [--visible] COMMAND…: runs it where network namespaces can be made: as root; else in a user namespace
# with a network of its own; where a system forbids those (Ubuntu 24.04 restricts them through AppArmor), through sudo.
# --visible: what the command serves must be reachable from this machine's browser, which it is not from a network of its
# own. Then sudo comes first.
set -euo pipefail

visible=no
if [ "${1-}" = --visible ]; then
    visible=yes
    shift
fi

through_sudo() {
    printf '%s: running through sudo\n' "$1" >&2
    shift
    exec sudo --preserve-env=CI,DEMO_SECONDS,HYPOTHESIS_PROFILE env "PATH=$PATH" "$@"
}

if [ "$(id -u)" -eq 0 ]; then
    exec "$@"
fi
if [ "$visible" = yes ] && command -v sudo >/dev/null 2>&1; then
    through_sudo 'only root can make network namespaces beside this one' "$@"
fi
if unshare --user --map-root-user --net true 2>/dev/null; then
    if [ "$visible" = yes ]; then
        printf 'without root this runs in a network of its own: no browser reaches it\n' >&2
    fi
    # shellcheck disable=SC2016  # the inner shell's own
    exec unshare --user --map-root-user --net sh -c 'ip link set lo up && exec "$@"' sh "$@"
fi
if command -v sudo >/dev/null 2>&1; then
    through_sudo 'this system lets only root make network namespaces' "$@"
fi
printf 'this system lets only root make network namespaces, and there is no sudo: run it as root\n' >&2
exit 1
