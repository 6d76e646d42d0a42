#!/usr/bin/env bash
# Installs the reflector on a server with Debian 12/13 or Ubuntu 24.04, from this clone, and starts it. The arguments are
# those of `colibri reflector run` (docs/reflector.md):
#   sudo deploy/reflector/install.sh --name reflector.example --zone r.example --silent 203.0.113.191
# Safe to run again: it brings the program up to date, and other arguments replace those of before; without arguments,
# those of before stay. `--uninstall` takes all of it away again but the certificate.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly NAME=install-reflector UNIT=colibri-reflector.service
. deploy/common.sh

uninstall() {
    take_away "$UNIT"
    rm -f "$CONFIG/reflector.env" "$CONFIG/reflector-silent.nft"
    nft delete table inet colibri_silent 2>/dev/null || true
    say "the reflector is gone; /opt/colibri and /var/lib/colibri-reflector are left"
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
    install_users
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
    keep_up "$UNIT"
    say "it serves: journalctl -u $UNIT. Open its ports (docs/reflector.md) in the provider's firewall, UDP and TCP"
}

must_be_root
if [ "${1:-}" = --uninstall ]; then uninstall; exit; fi
install_packages "${BUILD[@]}" nftables
install_program locks/probe.txt
install_service "$@"
