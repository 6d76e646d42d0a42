#!/usr/bin/env bash
# A private apt state for arm64, so that neither the machine's own packages nor its configuration take part:
# brings the lists in OUT/apt/ up to date once a week (REFRESH=1: now), so that a build in between needs no network and
# starts from the same packages; writes apt.conf, sources.list and archive-date there.
# Where the packages come from: $MIRROR and $SECURITY_MIRROR, else what this machine's own apt is set up with, else
# Debian's. None of it gets into the image (check.py looks).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

APT=$OUT/apt
if [ -z "${REFRESH:-}" ] && [ -n "$(find "$APT/archive-date" -mtime -7 2>/dev/null)" ]; then exit; fi
[ -r "$KEYRING" ] || die "$KEYRING is missing: install debian-archive-keyring"

# own_source NAME: the address ending in /NAME in this machine's own sources (both formats), if any.
own_source() {
    sed -n -E "s#^(URIs:|deb( \[[^]]*\])?) +([^ ]*/$1)/?( .*)?\$#\3#p" \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 1p || true
}

main=${MIRROR:-$(own_source debian)}
main=${main:-http://deb.debian.org/debian}
security=${SECURITY_MIRROR:-$(own_source debian-security)}
security=${security:-http://deb.debian.org/debian-security}

mkdir -p "$APT"/etc/{apt.conf.d,preferences.d,trusted.gpg.d} "$APT"/state/lists/partial "$APT"/cache/archives/partial
: >"$APT/status"
cat >"$APT/sources.list" <<END
deb [arch=arm64 signed-by=$KEYRING] $main $SUITE main non-free-firmware
deb [arch=arm64 signed-by=$KEYRING] $main $SUITE-updates main non-free-firmware
deb [arch=arm64 signed-by=$KEYRING] $security $SUITE-security main non-free-firmware
deb [arch=arm64 signed-by=$KEYRING] $main $SUITE-backports main non-free-firmware
END
cat >"$APT/apt.conf" <<END
Dir::Etc "$APT/etc";
Dir::Etc::sourcelist "$APT/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$APT/state";
Dir::State::status "$APT/status";
Dir::Cache "$APT/cache";
APT::Architecture "arm64";
APT::Architectures "arm64";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
END
APT_CONFIG=$APT/apt.conf quietly apt-get -q update || die "the package lists could not be read (see above)"

# The date of the newest list: no package is newer, so no date in the image need be.
newest=0
for list in "$APT"/state/lists/*Release; do
    dated=$(date -d "$(sed -n 's/^Date: //p' "$list" | head -n 1)" +%s)
    [ "$dated" -le "$newest" ] || newest=$dated
done
[ "$newest" -gt 0 ] || die "the package lists bear no date"
echo "$newest" >"$APT/archive-date"
