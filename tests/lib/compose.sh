# shellcheck shell=bash
# Sourced by tests/run: whether the files of tests/compose say what they should. No container engine is asked.

compose_folder=tests/compose

# compose ARGUMENT...: Debian 12 has the program, newer ones the engine's plugin too.
compose() {
    if command -v docker-compose >/dev/null; then
        docker-compose "$@"
    else
        docker compose "$@"
    fi
}

# render ENVIRONMENT: what compose makes of the file with these variables and no others, the caller's included.
render() {
    (
        local name
        while read -r name; do
            unset "$name"
        done < <(compose_variables)
        compose --env-file "$1" -f "$compose_folder/compose.yaml" config
    )
}

# Whatever the file asks of its environment.
compose_variables() {
    grep -v '^ *#' "$compose_folder/compose.yaml" | grep -o "\${[A-Z_]*" | tr -d "\${" | sort -u
}

# Those without which nothing may start.
compose_secrets() {
    sed -n 's/^\([A-Z_]*\)=$/\1/p' "$compose_folder/.env.example"
}

# The example, filled in: a value of its own for each.
fill_example() {
    local name
    while read -r name; do
        say "$name=$(printf '%s' "$name" | sha256sum | cut -d ' ' -f 1)"
    done < <(compose_secrets)
}

check_secrets_are_demanded() {
    local name
    [[ $(compose_secrets | sort | paste -sd ' ') == 'NATS_PASSWORD POSTGRES_PASSWORD READYLOGIN_SEAL' ]] ||
        give_up ".env.example does not leave the three secrets empty"
    while read -r name; do
        grep -v "^$name=" "$work/compose.env" >"$work/compose-without.env"
        if render "$work/compose-without.env" >"$work/compose-without.log" 2>&1; then
            give_up "compose.yaml renders without $name"
        fi
        # The message's end: some versions quote the whole section before it.
        grep -q ": set $name, [^:]*\$" "$work/compose-without.log" || {
            cat "$work/compose-without.log"
            give_up "without $name the failure does not say so"
        }
        say "without $name: refused"
    done < <(compose_secrets)
}

# Lines "SERVICE KEY VALUE" of the rendered file's services, with what is nested below a key under its name.
services_of() {
    awk '
        /^[^ ]/ { inside = ($1 == "services:"); next }
        !inside { next }
        /^  [^ -]/ { service = $1; sub(/:$/, "", service); next }
        /^    [^ -]/ { key = $1; sub(/:$/, "", key); value = $0; sub(/^ *[^ ]+ ?/, "", value) }
        !/^    [^ -]/ { value = $0; sub(/^ +/, "", value) }
        { print service, key, value }
    ' "$1"
}

# demand HOW_MANY WHAT PATTERN: so many services have such a line.
demand() {
    local found
    found=$(grep -E "$3" "$work/compose.services" | cut -d ' ' -f 1 | sort -u | paste -sd ' ') || true
    if (($(wc -w <<<"$found") != $1)); then
        give_up "$2: ${found:-none}, where $1 were expected"
    fi
    say "$2: $found"
}

check_rendered() {
    local setting values
    services_of "$work/compose.rendered" >"$work/compose.services"
    demand 3 'nodes' ' build dockerfile: tests/compose/Dockerfile$'
    for setting in STORE__URL BUS__URL KEYS__SEAL SERVER__PUBLIC_URL SERVER__TRUSTED_PROXIES; do
        demand 3 "have $setting" "^node[1-3] environment READYLOGIN_$setting: ."
        values=$(grep -o " READYLOGIN_$setting: .*" "$work/compose.services" | sort -u | wc -l)
        ((values == 1)) || give_up "READYLOGIN_$setting differs between nodes"
    done
    demand 3 'have time to drain' '^node[1-3] stop_grace_period 15s$'
    demand 6 'are read-only' ' read_only true$'
    demand 6 'have no capabilities' ' cap_drop - ALL$'
    demand 1 'publish a port' ' ports '
    (($(grep -c ' ports - ' "$work/compose.services") == 1)) || give_up "more than one port is published"
    demand 1 'publish it on the loopback interface' ' ports .*127\.0\.0\.1'
    if grep -E ' (privileged|network_mode|pid) ' "$work/compose.services"; then
        give_up "a service leaves its container"
    fi
}

# Nodes, their names and their number are the same on both sides.
check_balancer() {
    local nodes balanced backend
    nodes=$(sed -n 's/^  \(node[0-9]*\): .*/\1/p' "$compose_folder/compose.yaml" | paste -sd ' ')
    for backend in ready alive; do
        balanced=$(awk -v backend="$backend" '
            /^[a-z]/ { inside = ($1 == "backend" && $2 == backend) }
            inside && $1 == "server" { print $2 }' "$compose_folder/haproxy.cfg" | paste -sd ' ')
        [[ -n $nodes && $balanced == "$nodes" ]] ||
            give_up "haproxy.cfg's backend $backend has '$balanced', compose.yaml has '$nodes'"
    done
    limited "$(haproxy_program)" -c -f "$compose_folder/haproxy.cfg"
}

# Debian has it where only root's path leads.
haproxy_program() {
    PATH=$PATH:/usr/sbin command -v haproxy
}

check_image() {
    grep -q "^FROM rust:$(rust_version)-" "$compose_folder/Dockerfile" ||
        give_up "the Dockerfile builds with another Rust than $(rust_version), which Cargo.toml asks for"
}
