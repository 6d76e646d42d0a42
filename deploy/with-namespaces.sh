#!/usr/bin/env bash
# with-namespaces.sh COMMAND…: runs it where network namespaces can be made. The lab makes them in a user namespace of
# its own, so this is nearly always the plain command; where a system forbids that (Ubuntu 24.04 restricts it through
# AppArmor), the command runs through sudo, which the lab needs as little as any other root process would.
set -euo pipefail

if [ "$(id -u)" -eq 0 ] || unshare --user --map-root-user --net true 2>/dev/null; then
    exec "$@"
fi
if command -v sudo >/dev/null 2>&1; then
    printf 'this system lets only root make network namespaces: running through sudo\n' >&2
    exec sudo --preserve-env=CI,DEMO_SECONDS,HYPOTHESIS_PROFILE env "PATH=$PATH" "$@"
fi
printf 'this system lets only root make network namespaces, and there is no sudo: run it as root\n' >&2
exit 1
