# Images: had from a registry, or made here from Debian packages.
# shellcheck shell=bash

# A registry that has not named the image's layers after this time counts as out of reach.
readonly PULL_ANSWER_SECONDS=15

has_image() {
    docker image inspect "$1" >/dev/null 2>&1
}

# Pulls within a bound: ended when the registry has not answered in PULL_ANSWER_SECONDS; a download
# that has begun may take as long as it needs. 1: the image could not be had.
pull_image() {
    local log pid status=0 deadline=$((SECONDS + PULL_ANSWER_SECONDS))
    log=$(mktemp)
    docker pull "$1" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        if ((SECONDS >= deadline)) && ! grep -q 'Pulling from' "$log"; then
            kill "$pid" 2>/dev/null || true
            break
        fi
        sleep 0.1
    done
    wait "$pid" 2>/dev/null || status=1
    if [[ $status -ne 0 ]]; then
        say "cannot pull $1: $(tail -n 1 "$log" | cut -c1-200)"
    fi
    rm -f "$log"
    return "$status"
}

# Writes the root of a small Debian 13 with the named packages (joined by commas; may be empty) as a
# tarball. Further arguments go to mmdebstrap.
#
# The host's CA certificates go in, as companies whose proxy inspects TLS need it: pip then works in
# a build with no word about it in the Dockerfile.
debian_root() {
    local tarball=$1 packages=$2
    shift 2
    if ! have mmdebstrap; then
        say "installing mmdebstrap, to make images from Debian packages"
        # Ubuntu has no keys of Debian's archive otherwise.
        install_packages mmdebstrap debian-archive-keyring
    fi
    # shellcheck disable=SC2016  # $1 is for the hook: the folder of the root
    as_root mmdebstrap --quiet --mode=root --variant=minbase \
        --include="ca-certificates${packages:+,$packages}" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' \
        "$@" trixie "$tarball" >"$tarball.log" 2>&1 || {
        tail -n 20 "$tarball.log" >&2
        fail "mmdebstrap could not make a Debian 13 root"
    }
}

# The label tells an image made here from a pulled one: `docker image inspect` shows it.
import_image() {
    local tarball=$1 image=$2
    shift 2
    docker import "$@" -c 'LABEL ml-deploy.made-by=scripts/setup' "$tarball" "$image" >/dev/null
    say "made $image here"
}
