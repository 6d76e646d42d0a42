#!/usr/bin/env bash
# deb.sh ARCHITECTURE: the probe as a Debian package for people who have a Pi or a server with Debian 13 already:
# OUT/colibri-probe_VERSION_ARCHITECTURE.deb (arm64, amd64). Built natively; the same each time.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
readonly ARCH=$1
cd "$ROOT"
mkdir -p "$OUT"
number=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' probe/__init__.py)
VERSION=${VERSION:-$number.$(git rev-list --count HEAD)}
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

"$IMAGE/app.sh" "$ARCH"
tree=$OUT/deb-$ARCH
rm -rf "$tree"
cp -r "$OUT/app-$ARCH" "$tree"
find "$tree" -name __pycache__ -type d -prune -exec rm -rf {} +
rm -rf "$tree/usr/lib/colibri/python/probe/appliance"
install -D -m 644 systemd/optimised.conf "$tree/usr/lib/systemd/system/colibri.service.d/optimised.conf"
install -D -m 644 systemd/optimised.conf "$tree/usr/lib/systemd/system/colibri-page.service.d/optimised.conf"
mkdir -p "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<END
Package: colibri-probe
Version: $VERSION
Architecture: $ARCH
Maintainer: The Colibri project <colibri@colibri.example>
Depends: python3 (>= 3.13), python3 (<< 3.14), python3-systemd, libsodium23, systemd
Section: net
Priority: optional
Installed-Size: $(du -sk --apparent-size "$tree/usr" | cut -f1)
Description: network probe that shows what an internet operator does to a line
 Measures forged DNS answers, resets, vanished servers and cut calls with real packets, says on which link they happen, and
 keeps the evidence. Settings: /etc/colibri/colibri.toml; then systemctl enable --now colibri.
END
cat >"$tree/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
python3 -m compileall -q -o 2 -o 0 /usr/lib/colibri/python || true
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers colibri.conf
    systemd-tmpfiles --create colibri.conf || true  # without /proc, in a chroot, say, it is done at the next start
fi
[ ! -d /run/systemd/system ] || systemctl try-restart colibri.service
END
cat >"$tree/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
[ "$1" != remove ] || [ ! -d /run/systemd/system ] || systemctl disable --now colibri.service colibri-page.socket || true
find /usr/lib/colibri/python -name __pycache__ -type d -prune -exec rm -rf {} +
END
cat >"$tree/DEBIAN/postrm" <<'END'
#!/bin/sh
set -e
[ "$1" = purge ] || exit 0
# Settings, keys and findings that still waited: whoever purges wants them gone.
rm -rf /etc/colibri /var/lib/colibri
cd /etc/systemd/system
rm -f multi-user.target.wants/colibri.service sockets.target.wants/colibri-page.socket
rmdir multi-user.target.wants sockets.target.wants 2>/dev/null || true
END
chmod 755 "$tree"/DEBIAN/{postinst,prerm,postrm}
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
quietly dpkg-deb -Zxz --root-owner-group --build "$tree" "$OUT/colibri-probe_${VERSION}_$ARCH.deb"
rm -rf "$tree"
say "$(sha256sum "$OUT/colibri-probe_${VERSION}_$ARCH.deb")"
