# shellcheck shell=bash
# Sourced by tests/run: a PostgreSQL cluster of this run's own, on 127.0.0.1, in the temporary folder.

postgres_url=
cluster=

# postgres_tool NAME: the newest one installed. Debian keeps them out of the PATH.
postgres_tool() {
    local found
    found=$(printf '%s\n' /usr/lib/postgresql/*/bin/"$1" | sort -V | tail -n 1)
    if [[ -x $found ]]; then
        say "$found"
    else
        command -v "$1"
    fi
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if ((EUID == 0)); then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

start_postgres() {
    local initdb pg_ctl try port
    initdb=$(postgres_tool initdb)
    pg_ctl=$(postgres_tool pg_ctl)
    mkdir -m 700 "$work/postgres"
    if ((EUID == 0)); then
        chown postgres: "$work/postgres"
    fi
    cluster=$work/postgres/cluster
    cleaners+=(stop_postgres)
    (cd "$work" && as_postgres "$initdb" --pgdata="$cluster" --username=readylogin --auth=trust \
        --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions) >>"$stage_log" 2>&1 ||
        give_up "initdb failed"
    for ((try = 1; try <= 10; try++)); do
        port=$(free_port)
        if (cd "$work" && as_postgres "$pg_ctl" start --pgdata="$cluster" --wait --silent --log="$work/postgres/log" \
            --options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300") \
            >>"$stage_log" 2>&1; then
            postgres_url=postgres://readylogin@127.0.0.1:$port/postgres
            say "PostgreSQL $("$(postgres_tool postgres)" --version | awk '{ print $3 }') on 127.0.0.1:$port"
            return
        fi
    done
    tail -n 20 "$work/postgres/log"
    give_up "PostgreSQL did not start"
}

# A command for tests that restart the server: MODE is one of pg_ctl's.
write_postgres_restart() {
    local prefix=()
    if ((EUID == 0)); then
        prefix=(runuser -u postgres --)
    fi
    export READYLOGIN_TEST_POSTGRES_RESTART=$work/restart-postgres
    {
        say '#!/bin/sh'
        say "cd $(printf %q "$work")"
        say "exec $(printf '%q ' "${prefix[@]}" "$(postgres_tool pg_ctl)") restart --mode=\"\$1\"" \
            "--pgdata=$(printf %q "$cluster") --wait --silent --log=$(printf %q "$work/postgres/log") >/dev/null"
    } >"$READYLOGIN_TEST_POSTGRES_RESTART"
    chmod 700 "$READYLOGIN_TEST_POSTGRES_RESTART"
}

# The cluster is thrown away, so it need not be stopped gently. Its log is kept for reading.
stop_postgres() {
    local pg_ctl
    if [[ -z $cluster ]]; then
        return
    fi
    if [[ -f $work/postgres/log ]]; then
        cp "$work/postgres/log" "$logs/postgres-server.log"
    fi
    if [[ -f $cluster/postmaster.pid ]]; then
        pg_ctl=$(postgres_tool pg_ctl)
        (cd "$work" && as_postgres "$pg_ctl" stop --pgdata="$cluster" --mode=immediate --wait --silent) >/dev/null 2>&1
    fi
    rm -rf "$work/postgres"
    cluster=
}

# A port below those that the kernel gives to clients, which nothing listens on just now.
free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            say "$port"
            return
        fi
    done
}
