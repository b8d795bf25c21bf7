# The image in which `act` runs workflow jobs: what the workflows call, no more.
# shellcheck shell=bash

readonly RUNNER_IMAGE=ml-deploy/act-runner:trixie

runner_image() {
    if has_image "$RUNNER_IMAGE"; then
        say "runner-image: $RUNNER_IMAGE is here"
        return
    fi
    say "runner-image: making $RUNNER_IMAGE from Debian 13 packages (about 1 minute, once), act runs jobs in it"
    new_scratch
    debian_root "$SCRATCH/runner.tar" nodejs,git,docker-cli,curl,jq,procps
    # act keeps its job containers alive with a command of its own.
    import_image "$SCRATCH/runner.tar" "$RUNNER_IMAGE" -c 'ENV LANG=C.UTF-8' -c 'CMD ["sleep", "infinity"]'
}
