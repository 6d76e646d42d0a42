#!/usr/bin/env bash
# Installs what Colibri needs on Debian 12/13, Ubuntu 24.04 and Raspberry Pi OS: system packages by apt, Python packages
# into .venv from the lock. `deploy/install.sh test` adds what the tests need, `test-long` what the long ones do, `bench`
# the tools that `make bench` measures beside. Safe to run again; says nothing when nothing is missing. The virtual
# environment is made anew only if the lock, pyproject.toml or the Python changed.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly NAME=install
. deploy/shell.sh
readonly VENV=.venv LOCK=locks/dev.txt STAMP=.venv/.colibri-installed

apt_install() {
    has apt-get || die "missing: $*. This system has no apt-get: install them with its own package manager, then run it again"
    [ "$(id -u)" -eq 0 ] || has sudo || die "missing: $*. Run it as root, or install sudo"
    say "installing with apt: $*"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
    # The package lists of a new machine are often empty or old. One foreign source that fails need not matter, so only
    # the installation decides.
    quietly as_root "${apt[@]}" update || say "apt-get update failed (see above); trying with the lists there are"
    quietly as_root "${apt[@]}" install --no-install-recommends "$@" ||
        die "apt failed (its last lines are above). Check the network and the disk, try 'sudo apt-get update' and" \
            "'sudo apt-get -f install', then run it again"
}

# One line per need: a test that is true when it is met, and the Debian package that meets it.
missing=()
want() { local package=$1; shift; "$@" >/dev/null 2>&1 || missing+=("$package"); }

want_system() {
    want iproute2 has ip
    want nftables has nft
    want iptables has iptables
    # Debian starts Mosquitto on port 1883 where systemd runs; tests and demo start their own on a port of their own.
    want mosquitto has mosquitto
    # The collector checks signatures with it, at twice the speed of OpenSSL.
    want libsodium23 has_library libsodium.so.23
    # systemd-python has no wheel: it is compiled here.
    want gcc has gcc
    want libc6-dev test -e /usr/include/stdio.h
    want pkg-config has pkg-config
    want libsystemd-dev pkg-config --exists libsystemd
    want ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    # A dossier's cover as PDF: WeasyPrint draws with Pango, in Liberation (Latin) and Amiri (Arabic).
    want libpango-1.0-0 has_library libpango-1.0.so.0
    want libpangoft2-1.0-0 has_library libpangoft2-1.0.so.0
    want libharfbuzz-subset0 has_library libharfbuzz-subset.so.0
    want fonts-liberation has_font LiberationSans-Regular.ttf
    want fonts-hosny-amiri has_font Amiri-Regular.ttf
}

has_library() { ldconfig -p | grep -F "$1"; } # no -q: it would end the pipe early, which counts as a failure
has_font() { [ -n "$(find /usr/share/fonts -name "$1" -print -quit)" ]; }

is_ubuntu() { grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null; }

want_tests() {
    want git has git
    want tshark has tshark
    want mosquitto-clients has mosquitto_sub
    want poppler-utils has pdftotext
    want openssl has openssl
    if has chromium || has google-chrome; then
        has google-chrome || want chromium-driver has chromedriver
    elif is_ubuntu; then
        # Ubuntu's chromium is a snap, which can't run in many places; those who want the browser tests install one.
        say "no chromium or google-chrome on PATH: the browser tests will be skipped (Ubuntu has chromium as a snap only)"
    else
        missing+=(chromium chromium-driver)
    fi
}

# Debian 12's is of 2018, and later releases have none: the tests that need it are skipped there. Its replicas agree by a
# ZooKeeper.
want_long_tests() {
    apt-cache show clickhouse-server >/dev/null 2>&1 || return 0
    want clickhouse-server has clickhouse-server
    want default-jre-headless has java
    want libzookeeper-java test -e /usr/share/java/zookeeper.jar
}

# Beside whom `make bench` measures.
want_bench() {
    want scamper has scamper
    want traceroute has traceroute
    want nmap has nmap
    want dnsperf has dnsperf
    want util-linux has taskset
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
        if has "$candidate" && new_enough "$candidate"; then command -v "$candidate"; return; fi
    done
    return 1
}

# A Python without its headers or without ensurepip can't make the environment; Debian splits both off.
want_python_parts() {
    local python=$1 version
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    want "$version-venv" "$python" -c 'import ensurepip, venv'
    want "$version-dev" "$python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
}

install_system() {
    missing=()
    want_system
    case "${1:-}" in test | test-long) want_tests ;; esac
    [ "${1:-}" != test-long ] || want_long_tests
    [ "${1:-}" != bench ] || want_bench
    # An environment that works has what it was made with.
    if ! [ -x "$VENV/bin/python" ]; then
        if python=$(find_python); then want_python_parts "$python"; else missing+=(python3 python3-venv python3-dev); fi
    fi
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

# What the environment was made from; a change in any of them makes it stale.
fingerprint() { { cat "$LOCK" pyproject.toml; "$1" -V; pwd; } | sha256sum; }

install_python() {
    if [ -x "$VENV/bin/python" ] && [ -e "$STAMP" ] && [ "$(fingerprint "$VENV/bin/python")" = "$(cat "$STAMP")" ]; then
        return
    fi
    local python pip
    python=$(find_python) || die "no Python 3.11 or newer: Debian 12, Ubuntu 24.04 and Raspberry Pi OS (bookworm) have one"
    # An environment that outlived its Python (a system upgrade) or was moved can't be mended.
    if ! { "$VENV/bin/python" -m pip --version && grep -F "$PWD/$VENV" "$VENV/bin/activate"; } >/dev/null 2>&1; then
        say "making $VENV with $("$python" -V)"
        quietly "$python" -m venv --clear "$VENV" || die "could not make $VENV with $python (see above)"
    fi
    pip=("$VENV/bin/python" -m pip --quiet --disable-pip-version-check --no-input install)
    [ "$(id -u)" -ne 0 ] || pip+=(--root-user-action=ignore)
    say "installing the Python packages of $LOCK (a minute or so the first time)"
    quietly "${pip[@]}" --require-hashes -r "$LOCK" || die "pip failed (its last lines are above): check the network;" \
        "where a package does not compile, the compiler's message names what is missing"
    # compat: a plain path entry; setuptools' import hook would double the time that Python takes to start.
    quietly "${pip[@]}" --no-deps --config-settings editable_mode=compat -e . || die "pip failed (see above)"
    fingerprint "$VENV/bin/python" >"$STAMP"
    say "done: $VENV/bin/colibri"
}

# Byte code of our own, as pip makes it of what it installs: where Python may write none (PYTHONDONTWRITEBYTECODE), each
# start would compile a hundred modules. Nothing is done for what has not changed.
compile_own() { quietly "$VENV/bin/python" -m compileall -q probe || say "no byte code was made (see above)"; }

# What the long tests need beside: half a gigabyte, apart from what everybody gets.
install_long() {
    "$VENV/bin/python" -c 'import chdb' 2>/dev/null && return
    say "installing the Python packages of locks/long.txt"
    quietly "$VENV/bin/python" -m pip --quiet --disable-pip-version-check --no-input install --require-hashes \
        -r locks/long.txt || say "pip failed (see above): the tests that need ClickHouse in process will be skipped"
}

# A peer of `make bench` in Python.
install_bench() {
    "$VENV/bin/python" -c 'import aiodns' 2>/dev/null && return
    say "installing the Python packages of locks/bench.txt"
    quietly "$VENV/bin/python" -m pip --quiet --disable-pip-version-check --no-input install --require-hashes \
        -r locks/bench.txt || say "pip failed (see above): \`make bench\` leaves aiodns out"
}

install_system "${1:-}"
install_python
compile_own
[ "${1:-}" != test-long ] || install_long
[ "${1:-}" != bench ] || install_bench
