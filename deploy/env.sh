#!/bin/sh
# Writes .env for docker-compose.yml: the names of .env.sample with fresh secrets, readable by its
# owner alone. Never overwrites: without the old secrets the data cannot be opened.
set -eu
cd "$(dirname "$0")/.."

if [ -e .env ]; then
    echo ".env is there already" >&2
    exit 1
fi

umask 077
random() { od -An -tx1 -N32 /dev/urandom | tr -d ' \n'; }
while IFS= read -r line; do
    case $line in
    *_PASSWORD= | *_KEY=) echo "$line$(random)" ;;
    *) echo "$line" ;;
    esac
done <.env.sample >.env.new
mv .env.new .env
echo "wrote .env; BELFRY_ADMIN_KEY in it opens the API"
