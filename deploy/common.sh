# Sourced by the installers of services (service, server, reflector): words, packages, the program, users and units.
# The installer sets NAME. DESTDIR: where the tests install to.
# shellcheck shell=bash
. deploy/shell.sh
readonly PROGRAM=${DESTDIR:-}/opt/colibri COMMAND=${DESTDIR:-}/usr/bin/colibri
readonly CONFIG=${DESTDIR:-}/etc/colibri UNITS=${DESTDIR:-}/etc/systemd/system
readonly USERS=${DESTDIR:-}/usr/lib/sysusers.d/colibri.conf FOLDERS=${DESTDIR:-}/usr/lib/tmpfiles.d/colibri.conf
readonly BUILD=(python3 python3-venv python3-dev gcc libc6-dev pkg-config libsystemd-dev ca-certificates)

# own OWNER:GROUP FILE…: not where the tests install to, whose users are none of these.
own() { [ -n "${DESTDIR:-}" ] || chown "$@"; }

must_be_root() { [ "$(id -u)" -eq 0 ] || die "run it as root"; }

# install_packages PACKAGE…
install_packages() {
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0)
    say "system packages"
    quietly "${apt[@]}" update || say "apt-get update failed (see above); trying with the lists there are"
    quietly "${apt[@]}" install --no-install-recommends "$@" || die "apt failed (see above)"
}

# install_program LOCK: into /opt/colibri, with byte code both as usual and for PYTHONOPTIMIZE=2 (systemd/optimised.conf).
# A server's lock holds all of a probe's; what is there already is not taken back by a smaller one.
install_program() {
    local lock=$1 python=$PROGRAM/venv/bin/python
    local pip=("$python" -m pip --quiet --disable-pip-version-check --no-input --root-user-action=ignore install)
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or newer is needed"
    say "the program, into /opt/colibri"
    mkdir -p "$PROGRAM"
    # An environment that outlived its Python can't be mended.
    "$python" -c '' 2>/dev/null || quietly python3 -m venv --clear "$PROGRAM/venv" ||
        die "no environment could be made (see above)"
    quietly "${pip[@]}" --require-hashes -r "$lock" || die "pip failed (see above): is the network up?"
    quietly "${pip[@]}" --no-deps --force-reinstall . || die "pip failed (see above)"
    quietly "$python" -m compileall -q -o 0 -o 2 "$PROGRAM/venv/lib" || say "some byte code could not be made (see above)"
    # Python's own library is Debian's, and compiled for no optimisation but the usual.
    quietly "$python" -c 'import compileall, sysconfig
compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2, optimize=[2], maxlevels=20)' || true
    mkdir -p "$(dirname "$COMMAND")"
    ln -sfn /opt/colibri/venv/bin/colibri "$COMMAND"
}

install_users() {
    mkdir -p "$CONFIG" "$UNITS" "$(dirname "$USERS")" "$(dirname "$FOLDERS")"
    install -m 644 systemd/colibri.sysusers "$USERS"
    install -m 644 systemd/colibri.tmpfiles "$FOLDERS"
    systemd-sysusers "$USERS"
    systemd-tmpfiles --create "$FOLDERS"
}

# keep_up UNIT…: started now, and with the machine.
keep_up() {
    local unit
    systemctl daemon-reload
    systemctl enable "$@" 2>/dev/null
    for unit; do systemctl restart "$unit" || die "it does not start: journalctl -u $unit"; done
}

# take_away UNIT…: ended and forgotten.
take_away() {
    local unit
    systemctl disable --now "$@" 2>/dev/null || true
    for unit; do rm -rf "${UNITS:?}/$unit" "$UNITS/$unit.d"; done
    systemctl daemon-reload
}
