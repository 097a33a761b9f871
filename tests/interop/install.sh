#!/bin/sh
# Installs what `make interop` tries and PyPI does not have: kcat.
set -eu

command -v kcat >/dev/null && exit 0

give_up() {
    echo "make interop: expected the program kcat, but it is not installed, and $1." >&2
    echo "Hint: install it (Debian and Ubuntu: apt-get install kcat; macOS: brew install kcat) and try again." >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "there is no apt-get here to install it with"
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    give_up "this user may not install it: neither root nor sudo without a password"
fi
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq"
$apt update || echo "make interop: apt-get could not update its lists of packages." >&2
$apt install --yes --no-install-recommends kcat >/dev/null || give_up "apt-get could not install it"
command -v kcat >/dev/null || give_up "apt-get installed none"
