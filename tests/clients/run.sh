#!/usr/bin/env bash
# Holds the real binary against the clients that strangers use. BELFRY_BIN names it. The arguments are
# the scripts to run; without any, all that need no long time.
set -euo pipefail
cd "$(dirname "$0")"
# The lock file is what is installed; a newer one installs anew.
[ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund --silent
[ $# -gt 0 ] || set -- breaking.mjs lint.mjs codegen.mjs audit.mjs attacks.mjs graphql_ws.mjs graphql_sse.mjs apollo.mjs

folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

key=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
(cd "$folder" && exec env -i PATH="$PATH" BELFRY_ADMIN_KEY="$key" "$BELFRY_BIN" serve --listen 127.0.0.1:0) \
    >"$folder/out" 2>"$folder/err" &
server=$!
url=
for _ in $(seq 200); do
    url=$(sed -n 's/^  GraphQL  *\(.*\)\/graphql$/\1/p' "$folder/out")
    [ -n "$url" ] && break
    kill -0 "$server" || { cat "$folder/err"; exit 1; }
    sleep 0.1
done

export BELFRY_URL=$url BELFRY_KEY=$key BELFRY_PID=$server
failed=()
for script in "$@"; do
    node "$script" || failed+=("$script")
done
# A server that a client can stop has failed, whatever the client made of it.
kill -0 "$server" || { cat "$folder/err"; failed+=("the server died"); }
[ ${#failed[@]} = 0 ] || { echo "FAILED: ${failed[*]}"; exit 1; }
