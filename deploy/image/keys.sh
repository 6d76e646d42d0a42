#!/usr/bin/env bash
# keys.sh FOLDER: the keys that updates are signed with, made anew (docs/image.md). Public parts, which get into the image:
# root.json, bundle-ca.pem, bundle.pem. Everything in FOLDER/offline and bundle.key is private.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
folder=$(realpath -m "$1")
[ ! -e "$folder/root.json" ] || die "$folder has keys already"
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
say "making update keys in $folder: take them off this machine before the first real release"
umask 077
quietly openssl req -x509 -newkey rsa:3072 -nodes -keyout bundle-ca.key -out bundle-ca.pem -days 14600 \
    -subj "/CN=Colibri updates" -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign,cRLSign
quietly openssl req -newkey rsa:3072 -nodes -keyout bundle.key -out bundle.csr -subj "/CN=Colibri bundle"
printf 'basicConstraints=critical,CA:false\nkeyUsage=critical,digitalSignature\n' >bundle.ext
quietly openssl x509 -req -in bundle.csr -CA bundle-ca.pem -CAkey bundle-ca.key -days 14600 -out bundle.pem -extfile bundle.ext
rm -f bundle.csr bundle.ext ./*.srl
"$ROOT/.venv/bin/python" "$IMAGE/release.py" init "$folder"
