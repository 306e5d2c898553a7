#!/usr/bin/env bash
# Makes sure that what the build needs is there: a C linker, cargo with clippy and rustfmt, Python 3.11 with venv.
# Installs Debian packages only where something is missing and we may. Usage: tools.sh PYTHON [tests]
# `tests`: PostgreSQL's programs too, for the tests that start a server of their own.
set -euo pipefail

python=${1:?the Python interpreter}
missing=()
command -v curl >/dev/null || missing+=(curl ca-certificates) # the README's examples
command -v cc >/dev/null || missing+=(build-essential)
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
# LightGBM's and scikit-learn's wheels load it.
ldconfig -p 2>/dev/null | grep -q 'libgomp\.so\.1' || missing+=(libgomp1)
if [[ ${2:-} == tests ]]; then
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
fi

if ((${#missing[@]})); then
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        echo "error: missing: ${missing[*]}" >&2
        echo "hint: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    echo "== Debian packages: ${missing[*]}"
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $("$python" --version) is too old, 3.11 is needed" >&2
    echo "hint: make PYTHON=python3.12" >&2
    exit 1
fi

for tool in cargo rustc cargo-clippy rustfmt; do
    if ! command -v "$tool" >/dev/null; then
        echo "error: $tool is not there" >&2
        echo "hint: install Rust with rustup (https://rustup.rs), components clippy and rustfmt" >&2
        exit 1
    fi
done
