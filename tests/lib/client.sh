# shellcheck shell=bash
# Sourced by tests/run: the official client's cases (tests/client), a Node that runs them, and the server
# that they speak to, on 127.0.0.1.

client_node_version=20.20.2
node=
client_server=
client_server_url=
client_origin=https://app.client.example

# Debian 12's Node is older than the client wants. npm has the binaries of Node as packages.
provide_node() {
    local package folder=$target/tools/node
    node=$(command -v node)
    if is_node_of_today "$node"; then
        return
    fi
    package=node-linux-$(npm_architecture)
    node=$folder/node_modules/$package/bin/node
    if [[ ! -x $node ]] || [[ $("$node" --version) != "v$client_node_version" ]]; then
        say "Node $client_node_version from npm, once; kept in $folder"
        mkdir -p "$folder"
        limited npm_quietly install --prefix "$folder" --no-save --ignore-scripts "$package@$client_node_version"
    fi
    is_node_of_today "$node" || give_up "no Node 20 or newer: $node does not run"
}

is_node_of_today() {
    local version
    version=$("$1" --version 2>/dev/null) && [[ $version =~ ^v([0-9]+)\. ]] && ((BASH_REMATCH[1] >= 20))
}

npm_architecture() {
    case $(uname -m) in
        x86_64) say x64 ;;
        aarch64) say arm64 ;;
        *) uname -m ;;
    esac
}

npm_quietly() {
    npm --no-audit --no-fund --no-update-notifier --loglevel=error --cache="$target/tools/npm-cache" "$@"
}

# A copy, so that nothing is left in the source folder. The lock file says what is installed; it names no
# registry, so that a mirror serves as well.
install_client() {
    cp -r tests/client "$work/client"
    limited npm_quietly ci --prefix "$work/client" --ignore-scripts --prefer-offline
}

# run_client STORE_URL: all cases, against a fresh server with that store.
run_client() {
    local options=() status=0
    client_options
    start_client_server "$1"
    limited env SERVER="$client_server_url" MAIL_FOLDER="$work/served/mail" ALLOWED_ORIGIN="$client_origin" \
        "$node" --test-reporter=spec "${options[@]}" "$work/client/run.mjs" || status=$?
    stop_client_server
    return "$status"
}

# Sets `options` from the filter: names are patterns, options are Node's own.
client_options() {
    local arg
    for arg in "${filter[@]}"; do
        if [[ $arg != -* ]]; then
            arg=--test-name-pattern=$arg
        fi
        options+=("$arg")
    done
}

start_client_server() {
    local log=$logs/client-server.log tries
    rm -rf "$work/served"
    mkdir -p "$work/served/mail"
    background "$log" env --chdir="$work/served" \
        READYLOGIN_SERVER__LISTEN=127.0.0.1:0 \
        READYLOGIN_SERVER__ALLOWED_ORIGINS="$client_origin" \
        READYLOGIN_STORE__URL="$1" \
        READYLOGIN_KEYS__SEAL="$(printf 'ab%.0s' {1..32})" \
        READYLOGIN_MAIL__FOLDER="$work/served/mail" \
        READYLOGIN_ACCOUNTS__REGISTRATION=open \
        READYLOGIN_LIMITS__FACTOR=0 \
        READYLOGIN_PASSWORD__MEMORY_KIB=64 \
        READYLOGIN_PASSWORD__ITERATIONS=1 \
        "$target/debug/readylogin" serve
    client_server=$server
    cleaners+=(stop_client_server)
    for ((tries = 0; tries < 150; tries++)); do
        client_server_url=$(sed -n 's/^listening on \(http.*\)$/\1/p' "$log")
        if [[ -n $client_server_url ]]; then
            say "server on $client_server_url, store ${1%%:*}"
            return
        fi
        is_alive "$client_server" || break
        sleep 0.1
    done
    cat "$log"
    give_up "the server did not start"
}

stop_client_server() {
    if [[ -n $client_server ]]; then
        end_group "$client_server"
        client_server=
    fi
}
