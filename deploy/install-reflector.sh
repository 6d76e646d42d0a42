#!/usr/bin/env bash
# Installs the reflector on a server with Debian 12/13 or Ubuntu 24.04, from this clone, and starts it. The arguments are
# those of `colibri reflector run` (docs/reflector.md):
#   sudo deploy/install-reflector.sh --name reflector.example --zone r.example --silent 203.0.113.191
# Safe to run again: it brings the program up to date, and other arguments replace those of before; without arguments,
# those of before stay. `--uninstall` takes all of it away again but the certificate.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# DESTDIR: where the tests install to.
readonly HOME_DIR=${DESTDIR:-}/opt/colibri COMMAND=${DESTDIR:-}/usr/bin/colibri
readonly CONFIG=${DESTDIR:-}/etc/colibri UNITS=${DESTDIR:-}/etc/systemd/system
readonly USERS=${DESTDIR:-}/usr/lib/sysusers.d/colibri.conf UNIT=colibri-reflector.service
readonly PACKAGES=(python3 python3-venv python3-dev gcc libc6-dev pkg-config libsystemd-dev nftables ca-certificates)

say() { printf 'install-reflector: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

# quietly COMMAND…: its output is shown, the last lines of it, only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [ "$status" -eq 0 ] || tail -n 20 "$log" >&2
    rm -f "$log"
    return "$status"
}

uninstall() {
    systemctl disable --now "$UNIT" 2>/dev/null || true
    rm -rf "$UNITS/$UNIT" "$UNITS/$UNIT.d" "$CONFIG/reflector.env" "$CONFIG/reflector-silent.nft"
    nft delete table inet colibri_silent 2>/dev/null || true
    systemctl daemon-reload
    say "the reflector is gone; /opt/colibri and /var/lib/colibri-reflector are left"
}

install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
    say "system packages"
    quietly "${apt[@]}" update || say "apt-get update failed (see above); trying with the lists there are"
    quietly "${apt[@]}" install --no-install-recommends "${PACKAGES[@]}" || die "apt failed (see above)"
}

install_program() {
    local pip=("$HOME_DIR/venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input
        --root-user-action=ignore install)
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or newer is needed"
    say "the program, into /opt/colibri"
    mkdir -p "$HOME_DIR"
    # An environment that outlived its Python can't be mended.
    "$HOME_DIR/venv/bin/python" -c '' 2>/dev/null || quietly python3 -m venv --clear "$HOME_DIR/venv" ||
        die "no environment could be made (see above)"
    quietly "${pip[@]}" --require-hashes -r locks/probe.txt || die "pip failed (see above): is the network up?"
    quietly "${pip[@]}" --no-deps --force-reinstall . || die "pip failed (see above)"
    mkdir -p "$(dirname "$COMMAND")"
    ln -sfn /opt/colibri/venv/bin/colibri "$COMMAND"
}

# silent_of ARGUMENT…: the addresses that --silent names, one a line.
silent_of() {
    local addresses=""
    while [ $# -gt 0 ]; do
        case $1 in
            --silent) addresses=${2:-} ;;
            --silent=*) addresses=${1#*=} ;;
        esac
        shift
    done
    printf '%s\n' "${addresses//,/ }" | tr -s ' ' '\n' | sed '/^$/d'
}

# The reflector's own sockets are silent on its ports; this makes the whole address so, pings and all.
write_silence() {
    local address
    mkdir -p "$UNITS/$UNIT.d"
    {
        printf 'table inet colibri_silent\ndelete table inet colibri_silent\ntable inet colibri_silent {\n'
        printf '  chain silent {\n    type filter hook prerouting priority -300;\n'
        for address; do
            case $address in
                *:*) printf '    ip6 daddr %s drop\n' "$address" ;;
                *) printf '    ip daddr %s drop\n' "$address" ;;
            esac
        done
        printf '  }\n}\n'
    } >"$CONFIG/reflector-silent.nft"
    printf '[Service]\nExecStartPre=+nft -f /etc/colibri/reflector-silent.nft\n' >"$UNITS/$UNIT.d/silent.conf"
}

install_service() {
    local argument
    local -a silent
    mkdir -p "$CONFIG" "$UNITS" "$(dirname "$USERS")"
    install -m 644 systemd/colibri.sysusers "$USERS"
    install -m 644 "systemd/$UNIT" "$UNITS/$UNIT"
    if [ $# -gt 0 ] || ! [ -e "$CONFIG/reflector.env" ]; then
        for argument; do
            [[ $argument =~ ^[A-Za-z0-9_./:,=-]+$ ]] || die "'$argument' can't be an option of the reflector"
        done
        printf 'OPTIONS=%s\n' "$*" >"$CONFIG/reflector.env"
        mapfile -t silent < <(silent_of "$@")
        rm -rf "$UNITS/$UNIT.d"
        [ ${#silent[@]} -eq 0 ] || write_silence "${silent[@]}"
    fi
    systemd-sysusers "$USERS"
    systemctl daemon-reload
    systemctl enable "$UNIT" 2>/dev/null
    systemctl restart "$UNIT" || die "it does not start: journalctl -u $UNIT"
    say "it serves: journalctl -u $UNIT. Open its ports (docs/reflector.md) in the provider's firewall, UDP and TCP"
}

[ "$(id -u)" -eq 0 ] || die "run it as root"
if [ "${1:-}" = --uninstall ]; then uninstall; exit; fi
install_packages
install_program
install_service "$@"
