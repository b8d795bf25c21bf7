# Shared by all steps of scripts/setup: how it speaks, and how it becomes root.
# shellcheck shell=bash

# One line to the person who waits: what is done, and why.
say() {
    printf 'setup: %s\n' "$*" >&2
}

fail() {
    printf 'setup: error: %s\n' "$*" >&2
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Runs a command as root: directly, or through sudo where the caller is somebody else.
as_root() {
    if [[ $(id -u) -eq 0 ]]; then
        "$@"
    elif have sudo; then
        # What the hooks of mmdebstrap read from the environment.
        sudo --preserve-env=RUNTIME_TAR -- "$@"
    else
        fail "'$1' has to run as root and there is no sudo: run this step as root"
    fi
}

# Names a new folder for what a step needs on its way, in $SCRATCH; gone when the script ends, however
# it ends. Only one step uses it at a time.
new_scratch() {
    remove_scratch
    SCRATCH=$(mktemp -d)
}

remove_scratch() {
    if [[ -n ${SCRATCH:-} ]]; then
        as_root rm -rf "$SCRATCH"
        SCRATCH=
    fi
}
trap remove_scratch EXIT

# Polls `command...` until it succeeds or `seconds` are over; returns 1 in the second case.
wait_until() {
    local seconds=$1
    shift
    local deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            return 1
        fi
        sleep 0.1
    done
}

# Installs those of the named Debian packages that apt knows here. Package lists are fetched again
# only when the first package is unknown: a fresh machine often has none, or old ones.
install_packages() {
    have apt-get || fail "needs the Debian packages $*: this machine has no apt-get, install them by hand"
    local refreshed=no package known=()
    for package in "$@"; do
        if ! apt_knows "$package" && [[ $refreshed == no ]]; then
            as_root apt-get update -qq || fail "apt-get update failed: see its message above"
            refreshed=yes
        fi
        if apt_knows "$package"; then
            known+=("$package")
        else
            fail "Debian package '$package' is not known here"
        fi
    done
    if ! apt_install "${known[@]}"; then
        # Old lists name versions that the mirror has dropped since.
        [[ $refreshed == no ]] || fail "could not install: ${known[*]}"
        as_root apt-get update -qq || fail "apt-get update failed: see its message above"
        apt_install "${known[@]}" || fail "could not install: ${known[*]}"
    fi
}

apt_knows() {
    [[ -n $(apt-cache policy "$1" 2>/dev/null | sed -n 's/^  Candidate: \([^(].*\)$/\1/p') ]]
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
        >/dev/null
}

# Runs `docker build` with BuildKit by the first client that has it: newer clients need a plug-in for
# it, while Debian's older one, which may be installed beside, has it built in.
docker_build() {
    local client major
    for client in docker /usr/bin/docker; do
        have "$client" || continue
        major=$("$client" version --format '{{.Client.Version}}' 2>/dev/null | cut -d. -f1)
        if "$client" buildx version >/dev/null 2>&1 || ((${major:-99} < 23)); then
            DOCKER_BUILDKIT=1 "$client" build "$@"
            return
        fi
    done
    DOCKER_BUILDKIT=0 docker build "$@"
}
