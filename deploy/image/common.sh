# shellcheck shell=bash
# What the scripts of this folder share; sourced. ROOT: the repository. OUT: where everything is built (ignored by git).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
IMAGE=$ROOT/deploy/image
OUT=${OUT:-$ROOT/build/image}
NAME=image
. "$ROOT/deploy/shell.sh"
readonly SUITE=trixie KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
# Two builds must agree to the last bit: neither the locale nor the hash seed of Python may order anything.
export LC_ALL=C.UTF-8 TZ=UTC PYTHONHASHSEED=0
umask 022

# lap WORDS: how long the step took that just ended.
lap() { say "$(printf '%5d s  %s' $((SECONDS - ${LAP:-0})) "$*")"; LAP=$SECONDS; }


# Whatever ends a script unasked says where.
trap 'say "$0, line $LINENO: failed"' ERR
