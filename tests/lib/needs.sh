# shellcheck shell=bash
# Sourced by tests/run: what the stages need on the machine, and how it gets there.

# missing_of: of the needs on standard input, one a line, those that are not met.
missing_of() {
    local need
    while read -r need; do
        "has_$need" || say "$need"
    done
}

has_rust() {
    command -v cargo >/dev/null && cargo fmt --version >/dev/null 2>&1 &&
        cargo clippy --version >/dev/null 2>&1 && is_new_enough "$(cargo --version | awk '{ print $2 }')"
}

is_new_enough() {
    printf '%s\n' "$(rust_version)" "$1" | sort -V -C
}

rust_version() {
    sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml
}

has_cc() {
    command -v cc >/dev/null
}

has_xz() {
    command -v xz >/dev/null
}

has_postgres() {
    postgres_tool initdb >/dev/null
}

has_nats() {
    command -v nats-server >/dev/null
}

# Of whatever age: tests/lib/client.sh gets a newer one where it has to.
has_node() {
    command -v node >/dev/null
}

has_npm() {
    command -v npm >/dev/null
}

has_chromium() {
    command -v chromium >/dev/null
}

has_chromedriver() {
    command -v chromedriver >/dev/null
}

# Without a font the screenshots show boxes.
has_fonts() {
    [[ -n $(find /usr/share/fonts -name '*.[to]tf' -print -quit 2>/dev/null) ]]
}

has_compose() {
    compose version >/dev/null 2>&1
}

has_haproxy() {
    haproxy_program >/dev/null
}

package_of() {
    case $1 in
        cc) say build-essential ;;
        xz) say xz-utils ;;
        postgres) say postgresql ;;
        nats) say nats-server ;;
        node) say nodejs ;;
        npm) say npm ;;
        chromium) say chromium ;;
        chromedriver) say chromium-driver ;;
        fonts) say fonts-liberation ;;
        compose) say docker-compose ;;
        haproxy) say haproxy ;;
    esac
}

how_to_get_rust() {
    say "Rust $(rust_version) or newer with rustfmt and clippy is needed: https://rustup.rs installs it;" \
        "where rustup is, 'rustup update stable && rustup component add rustfmt clippy' does"
}

stop_if_missing() {
    local missing
    mapfile -t missing < <(needs_of "$stage" | missing_of)
    if ((!${#missing[@]})); then
        return
    fi
    if [[ " ${missing[*]} " == *" rust "* ]]; then
        give_up "$(how_to_get_rust)"
    fi
    give_up "missing: $(packages_of "${missing[@]}"); 'tests/run setup $stage' installs what the stage needs"
}

packages_of() {
    for_each package_of "$@" | sort -u | paste -sd ' '
}

install_missing() {
    local packages left as_root=()
    if [[ " $* " == *" rust "* ]]; then
        give_up "$(how_to_get_rust)"
    fi
    packages=$(packages_of "$@")
    say "missing: $packages"
    if ! command -v apt-get >/dev/null; then
        give_up "there is no apt-get here; install what these Debian packages hold: $packages"
    fi
    if ((EUID)); then
        can_sudo || give_up "neither root nor sudo; have somebody run: apt-get install $packages"
        as_root=(sudo)
    fi
    apt "${as_root[@]}" || { say "trying once more" && sleep 5 && apt "${as_root[@]}"; } ||
        give_up "apt-get could not install: $packages"
    mapfile -t left < <(printf '%s\n' "$@" | missing_of)
    if ((${#left[@]})); then
        give_up "apt-get installed $packages, yet these are not found: ${left[*]}"
    fi
}

can_sudo() {
    command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 0 ]] && sudo true; }; }
}

# apt [sudo]: in the foreground, where sudo can ask for a password.
apt() {
    local options=(-q -y -o DPkg::Lock::Timeout=300)
    local command=("$@" env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}")
    "${command[@]}" update </dev/null 2>&1 | tee -a "$stage_log" || say "going on with the lists that are here"
    # shellcheck disable=SC2086 # the packages, one word each
    "${command[@]}" install --no-install-recommends $packages </dev/null 2>&1 | tee -a "$stage_log"
}
