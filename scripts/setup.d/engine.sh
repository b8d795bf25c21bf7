# The Docker engine: the one that runs, or Debian's, started by hand and stopped by its own pid.
# shellcheck shell=bash

ENGINE_STATE=${ML_DEPLOY_ENGINE_STATE:-/run/ml-deploy/engine}
# How long a started engine may take until it answers. Measured: 2 s; a first start on a slow disk
# creates its storage.
readonly ENGINE_START_SECONDS=60

engine_answers() {
    have docker && docker info >/dev/null 2>&1
}

engine_start() {
    if engine_answers; then
        say "engine: using the Docker engine that runs ($(docker version --format '{{.Server.Version}}'))"
        return
    fi
    if [[ -n ${DOCKER_HOST:-} ]]; then
        fail "DOCKER_HOST is '$DOCKER_HOST', but no engine answers there: start it, or unset DOCKER_HOST"
    fi
    if [[ -S /var/run/docker.sock ]] && as_root docker info >/dev/null 2>&1; then
        fail "an engine runs, but this user may not use it: add the user to the group 'docker' and log in again"
    fi
    engine_install
    if [[ -d /run/systemd/system ]]; then
        say "engine: starting the service 'docker', because no engine runs"
        as_root systemctl start docker
    else
        engine_launch
    fi
    if ! wait_until "$ENGINE_START_SECONDS" engine_answers; then
        tail -n 20 "$ENGINE_STATE/dockerd.log" >&2 || true
        fail "the engine did not answer within $ENGINE_START_SECONDS s: its log is $ENGINE_STATE/dockerd.log"
    fi
    say "engine: ready ($(docker version --format '{{.Server.Version}}'))"
}

# Installs Debian's engine, and a client where the package comes without one (Debian 13 and later
# split client and BuildKit plug-in off).
engine_install() {
    local dockerd
    dockerd=$(engine_program)
    if [[ -n $dockerd ]] && have docker; then
        return
    fi
    say "engine: installing Debian's docker.io, because images are built and run in containers"
    local packages=(docker.io) package
    install_packages docker.io
    packages=()
    for package in docker-cli docker-buildx; do
        if apt_knows "$package"; then
            packages+=("$package")
        fi
    done
    # The kernel wants the profile loader, or no container starts.
    if [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; then
        packages+=(apparmor)
    fi
    if [[ ${#packages[@]} -gt 0 ]]; then
        install_packages "${packages[@]}"
    fi
}

# dockerd lives in /usr/sbin, which is on root's PATH only.
engine_program() {
    PATH="$PATH:/usr/sbin:/sbin" command -v dockerd || true
}

# Starts dockerd in a session of its own, so that it outlives the terminal, and notes its pid.
engine_launch() {
    local dockerd
    dockerd=$(engine_program)
    say "engine: starting $dockerd by hand (no systemd here); log in $ENGINE_STATE; stop it with 'make engine-stop'"
    as_root mkdir -p "$ENGINE_STATE"
    as_root rm -f "$ENGINE_STATE/pid" "$ENGINE_STATE/started-at"
    engine_forget_dead /var/run/docker.pid dockerd
    engine_forget_dead /var/run/docker/containerd/containerd.pid containerd
    # The socket belongs to the caller's group: no root needed to use the engine afterwards.
    # shellcheck disable=SC2016  # expanded by the inner shell, with its own arguments
    as_root setsid bash -c '
        echo $$ >"$1/pid"
        exec "$2" --group "$3" >"$1/dockerd.log" 2>&1 </dev/null
    ' engine "$ENGINE_STATE" "$dockerd" "$(id -gn)" &
    disown
    wait_until 5 test -s "$ENGINE_STATE/pid" || fail "could not start $dockerd"
    wait_until 5 engine_is_ours || fail "dockerd ended at once: its log is $ENGINE_STATE/dockerd.log"
    as_root tee "$ENGINE_STATE/started-at" <<<"$(engine_start_time "$(cat "$ENGINE_STATE/pid")")" >/dev/null
}

# Removes the pid file of an engine that was killed, when its pid is free or another program's by now:
# dockerd would take that program for itself and refuse to start.
engine_forget_dead() {
    local file=$1 name=$2 pid
    pid=$(as_root cat "$file" 2>/dev/null) || return 0
    if [[ $(cat "/proc/$pid/comm" 2>/dev/null) != "$name" ]]; then
        as_root rm -f "$file"
    fi
}

# Kernel start time of a process, in clock ticks since boot: tells a process from a later one
# with the same pid. Field 22 of proc_pid_stat(5), counted behind the name in parentheses.
engine_start_time() {
    sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# True while the pid that was noted still is the dockerd that was started here.
engine_is_ours() {
    local pid
    pid=$(cat "$ENGINE_STATE/pid" 2>/dev/null) || return 1
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == dockerd ]] || return 1
    [[ ! -e $ENGINE_STATE/started-at || $(cat "$ENGINE_STATE/started-at") == "$(engine_start_time "$pid")" ]]
}

engine_stop() {
    if ! engine_is_ours; then
        say "engine: nothing to stop, no engine of ours runs"
        return
    fi
    local pid
    pid=$(cat "$ENGINE_STATE/pid")
    say "engine: stopping dockerd (pid $pid), which was started here"
    as_root kill -TERM "$pid"
    # dockerd gives its containers 10 s of grace, then 5 s.
    if ! wait_until 30 engine_is_gone "$pid"; then
        fail "dockerd (pid $pid) still runs after 30 s: its log is $ENGINE_STATE/dockerd.log"
    fi
    as_root rm -f "$ENGINE_STATE/pid" "$ENGINE_STATE/started-at"
}

engine_is_gone() {
    [[ ! -e /proc/$1 ]]
}
