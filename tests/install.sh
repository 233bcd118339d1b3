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
need redis-server redis-server
need psql postgresql-client
need faketime faketime
need docker-compose docker-compose
# Debian keeps a balancer for administrators alone, and PostgreSQL's own programs out of the way.
[ -x /usr/sbin/haproxy ] || need haproxy haproxy
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || need postgres postgresql

if [ ${#missing[@]} -gt 0 ]; then
    as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
    echo "installing ${missing[*]}"
    # The tests start what they need themselves: nothing is to run on this machine afterwards.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d'
        as_root chmod +x /usr/sbin/policy-rc.d
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    as_root apt-get update -qq
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny --version ^0.20
