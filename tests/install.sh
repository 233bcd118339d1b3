#!/usr/bin/env bash
# Installs what the checks need and a bare Debian machine lacks. Rust itself must be there.
set -euo pipefail

missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need cc gcc
need curl curl
need node nodejs
need npm npm
need chromium chromium

if [ ${#missing[@]} -gt 0 ]; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
    echo "installing ${missing[*]}"
    as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny --version ^0.20
