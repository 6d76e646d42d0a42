#!/usr/bin/env bash
# Sets up a whole server of the project on a fresh Debian 12/13 or Ubuntu 24.04, from this clone: authority, broker (for
# probes and for the public), collector with monitor, enrolment, and a web server in front with TLS.
#   sudo deploy/server/install.sh --name collector.example --web monitor.example
#     --name NAME        what probes call this server; further names after a comma
#     --web NAME         the monitor's public name; Caddy gets its certificate by itself (ports 80 and 443 must be open)
#     --cert F --key F   that name's certificate and key instead, where they are given
#     without --web, the monitor listens on 127.0.0.1:8080 alone
# Safe to run again: it brings the program up to date; the authority, its certificates, the configuration and all findings
# stay. deploy/server/backup.py saves and restores them. DESTDIR=DIR prepares another root (for the tests).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly NAME=install-server
. deploy/common.sh
readonly STATE=${DESTDIR:-}/var/lib/colibri-collector MOSQUITTO=${DESTDIR:-}/etc/mosquitto CADDY=${DESTDIR:-}/etc/caddy
readonly TLS=$STATE/tls CERTS=${DESTDIR:-}/etc/mosquitto/certs
readonly OWN=(colibri-collector.service colibri-enrol.service colibri-revoked.path)

names="" web="" cert="" key=""
while [ $# -gt 0 ]; do
    case $1 in
        --name) names=${2:-} ;;
        --web) web=${2:-} ;;
        --cert) cert=${2:-} ;;
        --key) key=${2:-} ;;
        *) die "there is no option '$1'; see the top of $0" ;;
    esac
    [ -n "${2:-}" ] || die "$1 takes a value"
    shift 2
done
for one in "$names" "$web"; do
    [[ $one =~ ^([A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?(,|$))*$ ]] || die "'$one' is not a name"
done
[ -z "$cert$key" ] || { [ -n "$web" ] && [ -r "$cert" ] && [ -r "$key" ]; } || die "--cert and --key are files, with --web"
must_be_root
configuration=$CONFIG/colibri.toml
[ -n "$names" ] || [ -e "$configuration" ] || die "--name is needed: what probes call this server"

# as_collector COMMAND…: the authority's files belong to the collector's user.
as_collector() { if [ -n "${DESTDIR:-}" ]; then "$@"; else runuser -u colibri-collector -- "$@"; fi; }

write_configuration() {
    local listed=${names//,/\", \"}
    {
        printf '# Written by deploy/server/install.sh; yours from now on (docs/configuration.md).\n'
        printf '[mqtt]\nhost = "localhost"\n\n[mqtt.tls]\nca = "%s"\n' "$TLS/authority.pem"
        printf 'certificate = "%s"\nkey = "%s"\n\n' "$TLS/collector.pem" "$TLS/collector.key"
        printf '[collector]\ndatabase = "%s"\n' "$STATE/findings.sqlite3"
        [ -z "$web" ] || printf 'site = "https://%s"\n' "$web"
        printf '\n[collector.enrol]\nfolder = "%s"\nnames = ["%s"]\n' "$STATE/enrol" "$listed"
    } >"$configuration"
    chmod 644 "$configuration"
}

# issue NAME ARGUMENT…: a certificate of our own authority, once.
issue() {
    [ -e "$TLS/$1.pem" ] && return
    quietly as_collector "$COMMAND" collector issue "$@" --output "$TLS" --config "$configuration" ||
        die "no certificate for $1 (see above)"
}

install_certificates() {
    local first=${names%%,*}
    say "the authority and its certificates"
    mkdir -p "$STATE/enrol" "$TLS" "$CERTS"
    chmod 711 "$STATE"
    chmod 700 "$STATE/enrol" "$TLS"
    own -R colibri-collector:colibri-collector "$STATE"
    [ -n "$first" ] || first=$(sed -n 's/^names = \["\([^"]*\)".*/\1/p' "$configuration")
    [ -n "$first" ] || die "$configuration: [collector.enrol] names is missing"
    # The collector reaches the broker as localhost, so that name stands in the certificate as well.
    local also=localhost,127.0.0.1,::1
    [[ $names != *,* ]] || also=${names#*,},$also
    if ! [ -e "$TLS/broker.pem" ]; then
        issue "$first" --server --also "$also"
        ln -sfn "$first.pem" "$TLS/broker.pem"
        ln -sfn "$first.key" "$TLS/broker.key"
    fi
    issue collector
    issue bridge
    install -m 644 "$TLS/authority.pem" "$CERTS/colibri-ca.pem"
    install -m 644 "$STATE/enrol/revoked.crl" "$CERTS/colibri-revoked.crl"
    local one
    for one in broker bridge; do
        install -m 644 "$TLS/$one.pem" "$CERTS/colibri-$one.pem"
        install -m 640 "$TLS/$one.key" "$CERTS/colibri-$one.key"
        own root:mosquitto "$CERTS/colibri-$one.key"
    done
}

# The package's own configuration is left alone: each broker is started with ours.
install_broker() {
    local broker="" file
    install -m 644 deploy/broker/colibri.conf "$MOSQUITTO/colibri.conf"
    install -m 640 deploy/broker/acl "$MOSQUITTO/colibri.acl"
    install -m 644 deploy/mosquitto/public.conf "$MOSQUITTO/colibri-public.conf"
    install -m 640 deploy/mosquitto/public.acl "$MOSQUITTO/colibri-public.acl"
    own root:mosquitto "$MOSQUITTO/colibri.acl" "$MOSQUITTO/colibri-public.acl"
    mkdir -p "$UNITS/mosquitto.service.d"
    printf '[Service]\nExecStart=\nExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/colibri.conf\nLimitNOFILE=110000\n' \
        >"$UNITS/mosquitto.service.d/colibri.conf"
    for file in "${DESTDIR:-}"/{usr/,}lib/systemd/system/mosquitto.service; do
        [ ! -e "$file" ] || broker=$(cat "$file")
    done
    [ -n "$broker" ] || die "the package mosquitto has no unit"
    sed 's#^Description=.*#Description=Mosquitto for the public (Colibri)#; s#mosquitto\.conf$#colibri-public.conf#
        s#^After=.*#After=network.target mosquitto.service#' <<<"$broker" >"$UNITS/mosquitto-public.service"
}

install_web() {
    local file=$CADDY/Caddyfile tls=""
    [ -n "$web" ] || return 0
    mkdir -p "$CADDY"
    if [ -e "$file" ] && ! grep -qE '^# Colibri|The Caddyfile is an easy way' "$file"; then
        die "$file is yours: add there a site for $web with 'reverse_proxy 127.0.0.1:8080', and leave --web out"
    fi
    [ -z "$cert" ] || tls="    tls $(realpath "$cert") $(realpath "$key")"$'\n'
    # Pages are streamed (server-sent events), so nothing may be held back.
    printf '# Colibri: written by deploy/server/install.sh\n%s {\n%s    reverse_proxy 127.0.0.1:8080 {\n        %s\n    }\n}\n' \
        "$web" "$tls" "flush_interval -1" >"$file"
}

packages=("${BUILD[@]}" mosquitto libsodium23)
[ -z "$web" ] || packages+=(caddy)
install_packages "${packages[@]}"
install_program locks/collector.txt
install_users
[ -e "$configuration" ] || write_configuration
install_certificates
install_broker
install_web
install -m 644 systemd/colibri-collector.service "$UNITS/colibri-collector.service"
for unit in colibri-enrol.service colibri-revoked.path colibri-revoked.service; do
    install -m 644 "deploy/broker/$unit" "$UNITS/$unit"
done
keep_up mosquitto.service mosquitto-public.service "${OWN[@]}"
[ -z "$web" ] || keep_up caddy.service
say "it runs. Open in the firewall, TCP: 8883 (probes), 8444 (enrolment), 8884 (readers of the public feed)$(
    [ -z "$web" ] || printf ', 80 and 443 (the monitor: https://%s)' "$web")"
say "a code for each probe: sudo -u colibri-collector colibri collector enrol --label '…'   (docs/runbook.md)"
say "save the authority's key and the findings now and every day: deploy/server/backup.py backup FILE"
