#!/usr/bin/env bash
# Tries the clients of other worlds: urql, the Relay compiler, Python's gql and ariadne-codegen, Rust's cynic
# and graphql_client. Not part of `make test`, because it installs and compiles a lot. Run it as
#
#     BELFRY_BIN=… tests/clients/run.sh once/all.mjs
#
# which starts the server. The arguments choose among urql, relay, python and rust.
set -euo pipefail
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- urql relay python rust
schema=$(realpath ../../../schema.graphql)

run_urql() { node urql.mjs; }

run_relay() {
    rm -rf relay/__generated__ && mkdir relay/__generated__
    cp "$schema" relay/schema.graphql
    (cd relay && ../node_modules/.bin/relay-compiler relay.config.json)
    ls relay/__generated__
}

# The two need different versions of graphql-core.
run_python() {
    cp "$schema" python/schema.graphql
    cd python
    for client in gql ariadne; do
        [ -x "venv/$client/bin/python" ] || python3 -m venv "venv/$client"
        "venv/$client/bin/pip" install --quiet --disable-pip-version-check -r "requirements_$client.txt"
    done
    venv/gql/bin/python try_gql.py
    rm -rf made
    venv/ariadne/bin/ariadne-codegen
    venv/ariadne/bin/python try_ariadne.py
    cd ..
}

run_rust() {
    cp "$schema" rust/schema.graphql
    (cd rust && cargo build --quiet --locked)
    for client in cynic graphql_client; do
        rust/target/debug/clients "$client" request |
            curl --silent --fail-with-body --json @- -H "authorization: Bearer $BELFRY_KEY" "$BELFRY_URL/graphql" |
            rust/target/debug/clients "$client" answer
    done
}

[ -d node_modules ] || npm ci --no-audit --no-fund --silent
for client in "$@"; do
    echo "== $client"
    "run_$client"
done
