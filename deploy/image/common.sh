# shellcheck shell=bash
# What the scripts of this folder share; sourced. ROOT: the repository. OUT: where everything is built (ignored by git).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
IMAGE=$ROOT/deploy/image
OUT=${OUT:-$ROOT/build/image}
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
readonly SUITE=trixie KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# Two builds must agree to the last bit: neither the locale nor the hash seed of Python may order anything.
export LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0
umask 022

say() { printf 'image: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# quietly COMMAND…: its output is shown, the last lines of it, only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 0 ] || tail -n 30 "$log" >&2
    rm -f "$log"
    return "$status"
}

# lap WORDS: how long the step took that just ended.
lap() { say "$(printf '%5d s  %s' $((SECONDS - ${LAP:-0})) "$*")"; LAP=$SECONDS; }


# Whatever ends a script unasked says where.
trap 'say "$0, line $LINENO: failed"' ERR
