# Sourced by everything in deploy/ that is bash: words for the person who watches, and commands that speak only of trouble.
# shellcheck shell=bash
# NAME: who speaks; set by the one that sources this.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"  # where Debian has its tools of administration, and no user looks

say() { printf '%s: %s\n' "$NAME" "$*" >&2; }
die() { say "$@"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND…: through sudo when needed.
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
