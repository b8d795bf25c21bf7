# The base images of the Dockerfiles here. They are pulled; where no public registry can be reached,
# equivalents are made from Debian packages and carry the same names, so that the Dockerfiles work
# unmodified.
# shellcheck shell=bash

# The defaults of BUILD_BASE and RUNTIME_BASE in examples/ml-api/Dockerfile.
readonly SAMPLE_BUILD_BASE=python:3.13-slim-trixie
readonly SAMPLE_RUNTIME_BASE=gcr.io/distroless/python3-debian13:nonroot
# The default of BUILD_BASE in the action's own Dockerfile.
readonly ACTION_BUILD_BASE=debian:trixie-slim

# The sample's two, which are made in one go.
base_images() {
    local missing=() image
    for image in "$SAMPLE_BUILD_BASE" "$SAMPLE_RUNTIME_BASE"; do
        if has_image "$image"; then
            continue
        fi
        say "base-images: pulling $image, the sample's image is built on it"
        if ! pull_image "$image"; then
            missing+=("$image")
        fi
    done
    if [[ ${#missing[@]} -gt 0 ]]; then
        make_sample_bases "${missing[@]}"
    fi
    say "base-images: $SAMPLE_BUILD_BASE and $SAMPLE_RUNTIME_BASE are here"
}

# Makes both bases in one run of mmdebstrap and tags those that are named.
make_sample_bases() {
    say "base-images: making $* from Debian 13 packages instead (about 1 minute, once)"
    local image
    new_scratch
    # shellcheck disable=SC2016  # $1 is for the hook: the folder of the root
    RUNTIME_TAR="$SCRATCH/runtime.tar" debian_root "$SCRATCH/build.tar" python3,python3-venv \
        --customize-hook="$SETUP_DIR/setup.d/runtime-base-root" \
        --customize-hook='find "$1/usr/lib/python3.13" -name __pycache__ -prune -exec rm -rf {} +'
    for image in "$@"; do
        case $image in
        "$SAMPLE_BUILD_BASE")
            import_image "$SCRATCH/build.tar" "$image" -c 'ENV LANG=C.UTF-8' -c 'CMD ["python3"]'
            ;;
        "$SAMPLE_RUNTIME_BASE")
            import_image "$SCRATCH/runtime.tar" "$image" \
                -c 'ENV LANG=C.UTF-8' \
                -c 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
                -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
                -c 'USER 65532' -c 'WORKDIR /home/nonroot' -c 'ENTRYPOINT ["/usr/bin/python3.13"]'
            ;;
        esac
    done
}

# The action's image takes its binary from dist/ here, so its base needs no compiler.
action_base() {
    if has_image "$ACTION_BUILD_BASE"; then
        say "action-base: $ACTION_BUILD_BASE is here"
        return
    fi
    say "action-base: pulling $ACTION_BUILD_BASE, the action's image is built with it"
    if pull_image "$ACTION_BUILD_BASE"; then
        return
    fi
    say "action-base: making $ACTION_BUILD_BASE from Debian 13 packages instead (half a minute, once)"
    new_scratch
    debian_root "$SCRATCH/base.tar" ''
    import_image "$SCRATCH/base.tar" "$ACTION_BUILD_BASE" -c 'CMD ["bash"]'
}
