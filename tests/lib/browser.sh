# shellcheck shell=bash
# Sourced by tests/run: the driver that the browser tests speak to, on 127.0.0.1.

webdriver_url=
driver=

# The driver picks a free port itself. Its browsers keep their profiles in the temporary folder; a proxy
# that is not there keeps them from any host but this one and the names reserved for tests (RFC 6761).
start_chromedriver() {
    local log=$logs/chromedriver.log tries port
    background "$log" env HOME="$work/home" http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 \
        no_proxy=127.0.0.1,::1,localhost,.localhost,.test,.example chromedriver --port=0
    driver=$server
    cleaners+=(stop_chromedriver)
    for ((tries = 0; tries < 150; tries++)); do
        port=$(sed -n 's/.*started successfully on port \([0-9]*\).*/\1/p' "$log")
        if [[ -n $port ]]; then
            webdriver_url=http://127.0.0.1:$port
            say "$(chromedriver --version | cut -d ' ' -f 1,2) on 127.0.0.1:$port"
            return
        fi
        is_alive "$driver" || break
        sleep 0.1
    done
    cat "$log"
    give_up "chromedriver did not start"
}

# A browser has a process group of its own, so its driver's end may leave it behind.
stop_chromedriver() {
    local file
    if [[ -z $driver ]]; then
        return
    fi
    end_group "$driver"
    driver=
    for file in /proc/[0-9]*/cmdline; do
        if tr '\0' '\n' 2>/dev/null <"$file" | grep -q "^--user-data-dir=$work/"; then
            kill -KILL "$(basename "$(dirname "$file")")" 2>/dev/null || true
        fi
    done
}
