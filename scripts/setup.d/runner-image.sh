# The image in which `act` runs workflow jobs: what the example workflows call, no more.
# shellcheck shell=bash

readonly RUNNER_IMAGE=ml-deploy/act-runner:trixie
readonly RUNNER_PACKAGES=nodejs,git,docker-cli,curl,jq,ca-certificates,procps

runner_image() {
    if has_image "$RUNNER_IMAGE"; then
        say "runner-image: $RUNNER_IMAGE is here"
        return
    fi
    if ! have mmdebstrap; then
        say "runner-image: installing mmdebstrap, to make the image from Debian packages"
        install_packages mmdebstrap
    fi
    say "runner-image: making $RUNNER_IMAGE from Debian 13 packages (about 1 minute, once), act runs jobs in it"
    local work
    work=$(mktemp -d)
    # shellcheck disable=SC2016  # $1 is for the hook: the root of the image
    as_root mmdebstrap --quiet --mode=root --variant=minbase --include="$RUNNER_PACKAGES" \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"' \
        trixie "$work/runner.tar" >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        fail "mmdebstrap could not make $RUNNER_IMAGE"
    }
    # act keeps its job containers alive with a command of its own.
    import_image "$work/runner.tar" "$RUNNER_IMAGE" -c 'ENV LANG=C.UTF-8' -c 'CMD ["sleep", "infinity"]'
    as_root rm -rf "$work"
}
