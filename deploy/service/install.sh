#!/usr/bin/env bash
# Makes this machine (Debian 12/13, Ubuntu 24.04, Raspberry Pi OS) a probe that measures by itself, from this clone: the
# program into /opt/colibri, users, units, the home's page on port 80.
#   sudo deploy/service/install.sh            (or: make install-service)
#   sudo deploy/service/install.sh --no-page  without the page, where port 80 is another's
#   sudo deploy/service/install.sh --uninstall
# Safe to run again: it brings the program up to date and leaves /etc/colibri/colibri.toml and /var/lib/colibri alone.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly NAME=install-service
. deploy/common.sh
readonly PAGE=(colibri-page.socket colibri-page.service)

case ${1:-} in "" | --no-page | --uninstall) ;; *) die "there is no option '$1'" ;; esac
must_be_root
if [ "${1:-}" = --uninstall ]; then
    take_away "${PAGE[@]}" colibri.service
    rm -f "$COMMAND" "$USERS" "$FOLDERS"
    rm -rf "$PROGRAM"
    say "the probe is gone; its configuration (/etc/colibri), its key and its findings (/var/lib/colibri) are left"
    exit
fi

install_packages "${BUILD[@]}" libsodium23
install_program locks/probe.txt
install_users
if ! [ -e "$CONFIG/colibri.toml" ]; then # the enrolment code in it is not for every user's eyes
    install -m 640 deploy/service/colibri.toml "$CONFIG/colibri.toml"
    own root:colibri "$CONFIG/colibri.toml"
fi
for unit in colibri.service "${PAGE[@]}"; do install -m 644 "systemd/$unit" "$UNITS/$unit"; done
for unit in colibri.service colibri-page.service; do
    mkdir -p "$UNITS/$unit.d"
    install -m 644 systemd/optimised.conf "$UNITS/$unit.d/optimised.conf"
done
keep_up colibri.service
if [ "${1:-}" = --no-page ]; then
    take_away "${PAGE[@]}"
else
    systemctl stop colibri-page.service 2>/dev/null || true # an old one ends, the next visitor starts the new one
    keep_up colibri-page.socket
    say "the home's page: http://$(hostname).local, if this machine answers to mDNS, or its address"
fi
say "it runs: colibri status. What it measures and for whom is in /etc/colibri/colibri.toml (docs/configuration.md)"
