# The base images of examples/ml-api/Dockerfile. They are pulled; where no public registry can be
# reached, equivalents are made here from Debian packages and carry the same names, so that the
# Dockerfile works unmodified.
# shellcheck shell=bash

# The defaults of BUILD_BASE and RUNTIME_BASE in examples/ml-api/Dockerfile.
readonly BUILD_BASE=python:3.13-slim-trixie
readonly RUNTIME_BASE=gcr.io/distroless/python3-debian13:nonroot
# A registry that has not named the image's layers after this time counts as out of reach.
readonly PULL_ANSWER_SECONDS=15

base_images() {
    local missing=() image
    for image in "$BUILD_BASE" "$RUNTIME_BASE"; do
        if has_image "$image"; then
            continue
        fi
        say "base-images: pulling $image, the sample's image is built on it"
        if ! pull_image "$image"; then
            missing+=("$image")
        fi
    done
    if [[ ${#missing[@]} -eq 0 ]]; then
        say "base-images: $BUILD_BASE and $RUNTIME_BASE are here"
        return
    fi
    make_base_images "${missing[@]}"
}

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
        say "base-images: cannot pull $1: $(tail -n 1 "$log" | cut -c1-200)"
    fi
    rm -f "$log"
    return "$status"
}

# Makes both bases in one run of mmdebstrap and tags those that are named.
make_base_images() {
    if ! have mmdebstrap; then
        say "base-images: installing mmdebstrap, to make the base images from Debian packages"
        install_packages mmdebstrap
    fi
    say "base-images: making $* here from Debian 13 packages (about 1 minute, once)"
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2064  # the folder's name is known now and the variable is local
    trap "as_root rm -rf '$work'" EXIT
    # The host's CA certificates go in, as companies whose proxy inspects TLS need it: pip then
    # works in the build with no word about it in the Dockerfile.
    # shellcheck disable=SC2016  # $1 is for the hook: the root of the base
    as_root env RUNTIME_TAR="$work/runtime.tar" mmdebstrap --quiet --mode=root --variant=minbase \
        --include=python3,python3-venv,ca-certificates \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' \
        --customize-hook="$SETUP_DIR/setup.d/runtime-base-root" \
        --customize-hook='find "$1/usr/lib/python3.13" -name __pycache__ -prune -exec rm -rf {} +' \
        trixie "$work/build.tar" >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        fail "mmdebstrap could not make the base images"
    }
    local image
    for image in "$@"; do
        case $image in
        "$BUILD_BASE")
            import_image "$work/build.tar" "$image" -c 'ENV LANG=C.UTF-8' -c 'CMD ["python3"]'
            ;;
        "$RUNTIME_BASE")
            import_image "$work/runtime.tar" "$image" \
                -c 'ENV LANG=C.UTF-8' \
                -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
                -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
                -c 'USER 65532' -c 'WORKDIR /home/nonroot' -c 'ENTRYPOINT ["/usr/bin/python3.13"]'
            ;;
        esac
        say "base-images: made $image here, it was not pulled"
    done
    as_root rm -rf "$work"
    trap - EXIT
}

# The label tells a base made here from a pulled one: `docker image inspect` shows it.
import_image() {
    local tarball=$1 image=$2
    shift 2
    docker import "$@" -c 'LABEL ml-deploy.made-by=scripts/setup' "$tarball" "$image" >/dev/null
}
