#!/usr/bin/env bash
# Opens the playground of a real server in a real browser. BELFRY_BIN names the binary.
set -euo pipefail
cd "$(dirname "$0")"
[ -d node_modules ] || npm ci --no-audit --no-fund --silent

folder=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap finish EXIT

(cd "$folder" && exec env -i PATH="$PATH" "$BELFRY_BIN" serve --listen 127.0.0.1:0) >"$folder/out" 2>"$folder/err" &
server=$!
for _ in $(seq 100); do
    url=$(sed -n 's/^  GraphQL  *\(.*\)\/graphql$/\1/p' "$folder/out")
    [ -n "$url" ] && [ -s "$folder/belfry.db.admin-key" ] && break
    kill -0 "$server" || { cat "$folder/err"; exit 1; }
    sleep 0.1
done

BELFRY_URL=$url BELFRY_KEY=$(cat "$folder/belfry.db.admin-key") node playground.mjs
