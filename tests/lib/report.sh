# shellcheck shell=bash
# Sourced by tests/run: headings, the table at the end, and the closing line `N passed, M failed`.

stage=           # the one that runs
stage_began=     # when, in seconds of this run
stage_limit=     # seconds that one command of it may take
stage_log=       # where its output goes as well
reason=          # why it failed, where more is known than an exit code
rows=()          # lines of the table
passed=0         # tests, over all stages
failed=0

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    colour=1 bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    colour='' bold='' green='' red='' plain=''
fi

trap finish EXIT
trap 'reason=interrupted; exit 130' INT
trap 'reason=terminated; exit 143' TERM
trap 'reason="the terminal is gone"; exit 129' HUP

say() {
    printf '%s\n' "$*"
}

begin() {
    stage=$1
    stage_began=$SECONDS
    stage_limit=$(limit_of "$stage")
    stage_log=$logs/$stage.log
    : >"$stage_log"
    printf '\n%s== %s ==%s\n' "$bold" "$stage" "$plain"
    if [[ $stage != setup ]]; then
        stop_if_missing
    fi
}

end_well() {
    count_tests
    add_row ok "$green"
    printf '%s: ok, %s\n' "$stage" "$(spell "$((SECONDS - stage_began))")"
    stage=
}

fail_because() {
    reason=$1
}

give_up() {
    fail_because "$1"
    exit 1
}

# Adds what cargo test and node:test counted in this stage to the sums.
count_tests() {
    local counts
    stage_tests='' stage_failed=0
    counts=$(sed 's/\x1b\[[0-9;]*m//g' "$stage_log" | awk '
        /^test result: / {
            for (i = 2; i <= NF; i++) {
                if ($i == "passed;") passed += $(i - 1)
                if ($i == "failed;") failed += $(i - 1)
                if ($i == "ignored;") ignored += $(i - 1)
            }
            runs++
        }
        /^ℹ (pass|fail|cancelled|skipped|todo) [0-9]+$/ {
            if ($2 == "pass") { passed += $3; runs++ }
            else if ($2 == "fail" || $2 == "cancelled") failed += $3
            else ignored += $3
        }
        END { print passed + 0, failed + 0, ignored + 0, runs + 0 }')
    read -r stage_passed stage_failed stage_ignored stage_runs <<<"$counts"
    passed=$((passed + stage_passed))
    failed=$((failed + stage_failed))
    if ((stage_runs)); then
        stage_tests="$stage_passed passed"
        if ((stage_failed)); then stage_tests+=", $stage_failed failed"; fi
        if ((stage_ignored)); then stage_tests+=", $stage_ignored ignored"; fi
    fi
}

# some_test_ran [RUNS]: in as many runs at least. A renamed module or a misspelt filter must not look like success.
some_test_ran() {
    local runs
    runs=$(sed 's/\x1b\[[0-9;]*m//g' "$stage_log" | grep -cE '^(test result: .* [1-9][0-9]* passed|ℹ pass [1-9])') || true
    if ((runs < ${1:-1})); then
        give_up "no test ran"
    fi
}

# add_row RESULT COLOUR
add_row() {
    local took
    took=$(spell "$((SECONDS - stage_began))")
    rows+=("$(printf '%-9s %s%-7s%s %12s   %s' "$stage" "$2" "$1" "$plain" "$took" "$stage_tests")")
}

spell() {
    if (($1 < 60)); then
        printf '%d s' "$1"
    else
        printf '%d min %02d s' "$(($1 / 60))" "$(($1 % 60))"
    fi
}

# However this run ends: nothing of it stays, and the last line says how it went.
finish() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    set +e
    clean_up
    if [[ -z ${selected[*]:-} || -z ${logs:-} ]]; then
        exit "$status"
    fi
    if ((status)) && [[ -n $stage ]]; then
        count_tests
        add_row FAILED "$red"
        if ((stage_failed)); then
            reason=${reason:-$stage_failed failed}
        fi
    fi
    if ((status && !failed)); then
        failed=1
    fi
    print_table
    if ((status)); then
        printf '\n%stests/run: stage %s failed: %s%s\n' "$red" "${stage:-(none)}" "${reason:-exit code $status}" "$plain"
        printf 'its output: %s\n' "${stage_log:-none}"
    fi
    printf '%d passed, %d failed\n' "$passed" "$failed"
    exit "$status"
}

print_table() {
    local name reached=0
    printf '\n%s%-9s %-7s %12s   tests%s\n' "$bold" stage result time "$plain"
    if ((${#rows[@]})); then
        printf '%s\n' "${rows[@]}"
    fi
    for name in "${selected[@]:${#rows[@]}}"; do
        printf '%-9s not run\n' "$name"
    done
    printf '%-9s %-7s %12s   %d passed\n' total '' "$(spell "$SECONDS")" "$passed"
}
