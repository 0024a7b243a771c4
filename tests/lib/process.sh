# shellcheck shell=bash
# Sourced by tests/run: commands with a time limit, background servers, and the clean-up after both.

work=            # the one temporary folder, gone at the end
groups=()        # process groups that this run started and that may still be there
cleaners=()      # functions to call at the end, last first

# The postgres user must reach it if this is root; TMPDIR is inside, so what tests leave behind goes too.
make_work_folder() {
    local base=${TMPDIR:-/tmp}
    if ((EUID == 0)) && ! as_postgres test -x "$base" 2>/dev/null; then
        base=/tmp
    fi
    work=$(mktemp -d "$base/readylogin-test.XXXXXX")
    chmod 711 "$work"
    mkdir -m 700 "$work/tmp" "$work/home"
    export TMPDIR=$work/tmp
}

# limited COMMAND...: runs it for at most $stage_limit seconds, without input, with its output also in
# $stage_log, in a process group of its own. What it leaves running ends with it.
limited() {
    local job clock printer first status=0
    mkfifo "$work/output"
    tee -a "$stage_log" <"$work/output" &
    printer=$!
    set -m
    "$@" </dev/null >"$work/output" 2>&1 &
    job=$!
    sleep "$stage_limit" &
    clock=$!
    set +m
    groups+=("$job" "$clock")
    wait -n -p first "$job" "$clock" || status=$?
    if [[ $first == "$clock" ]]; then
        fail_because "no end after $stage_limit s: $*"
        status=124
    fi
    end_groups
    end_printer "$printer"
    rm "$work/output"
    return "$status"
}

# It ends by itself once nobody holds the other end; a process that left the group might.
end_printer() {
    local tries
    for ((tries = 0; tries < 50; tries++)); do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.02
    done
    disown "$1" 2>/dev/null || true
    kill "$1" 2>/dev/null || true
    say "something that it started is still running"
}

# background LOG COMMAND...: starts a server in a process group of its own; its id is in `server`.
background() {
    local log=$1
    shift
    : >"$log"
    set -m
    "$@" </dev/null >"$log" 2>&1 &
    server=$!
    set +m
    disown "$server"
}

end_groups() {
    local group
    for group in "${groups[@]}"; do
        end_group "$group"
    done
    groups=()
}

end_group() {
    local tries
    disown "$1" 2>/dev/null || true
    kill -TERM -- "-$1" 2>/dev/null || return 0
    for ((tries = 0; tries < 50; tries++)); do
        is_alive "$1" || return 0
        sleep 0.1
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

# Whether the process group has a member that is not a zombie.
is_alive() {
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed 's/^.*) //' |
        awk -v group="$1" '$3 == group && $1 != "Z" { alive = 1 } END { exit !alive }'
}

clean_up() {
    local i
    end_groups
    for ((i = ${#cleaners[@]} - 1; i >= 0; i--)); do
        "${cleaners[i]}"
    done
    if [[ -n $work ]]; then
        rm -rf -- "$work"
    fi
}
