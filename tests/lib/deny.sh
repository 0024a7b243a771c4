# shellcheck shell=bash
# Sourced by tests/run: cargo-deny, and the advisories it works with where the network is not at hand.

cargo_deny_version=0.20.2
cargo_deny=

# The folder name that cargo-deny derives from the address of the database, `db-urls` in deny.toml.
advisory_folder=advisory-db-3157b0e258782691

install_cargo_deny() {
    local candidate
    for candidate in "$target/tools/bin/cargo-deny" "$(command -v cargo-deny || true)"; do
        if [[ -x $candidate && $("$candidate" --version) == "cargo-deny $cargo_deny_version" ]]; then
            cargo_deny=$candidate
            return
        fi
    done
    say "building cargo-deny $cargo_deny_version: a minute or three, once; kept in $target/tools"
    limited build_cargo_deny
    rm -rf "$target/tools/build"
    cargo_deny=$target/tools/bin/cargo-deny
}

# Ours to wait for, not to ship: built for a short build.
build_cargo_deny() {
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install cargo-deny --locked --version "$cargo_deny_version" --force \
        --root "$target/tools" --target-dir "$target/tools/build" 2>&1 |
        awk '/Compiling|Download/ { if (++n % 50 == 0) { print "  " n " steps"; fflush() } next }
            !/be sure to add/ { print; fflush() }'
}

# cargo-deny wants a clone that was fetched within 90 days; what it looks at is the time of FETCH_HEAD.
# How old the copy is must not fail a build by the passing of time: it is said instead.
unpack_advisories() {
    export READYLOGIN_TEST_ADVISORY_DBS=$work/advisories
    mkdir "$READYLOGIN_TEST_ADVISORY_DBS"
    tar -xJf tests/data/advisory-db.tar.xz -C "$READYLOGIN_TEST_ADVISORY_DBS"
    mkdir "$READYLOGIN_TEST_ADVISORY_DBS/$advisory_folder/.git"
    touch "$READYLOGIN_TEST_ADVISORY_DBS/$advisory_folder/.git/FETCH_HEAD"
    say "advisories up to $(newest_advisory); tests/data/README.md says how to refresh them"
}

newest_advisory() {
    grep -rhoE '^date = "[0-9-]+"' "$READYLOGIN_TEST_ADVISORY_DBS" | cut -d '"' -f 2 | sort | tail -n 1
}
