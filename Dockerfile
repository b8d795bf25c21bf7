# The action's image: one static binary and the certificate authorities, nothing else.
#
# The binary comes from dist/ where scripts/dist (or the release workflow) put it; otherwise it is
# compiled here. One stage decides it in a shell line, because the legacy builder, which runs a
# Dockerfile action, builds every stage whether it is used or not.
ARG BUILD_BASE=debian:trixie-slim

# hadolint ignore=DL3006
FROM ${BUILD_BASE} AS binary
WORKDIR /src
COPY . .
ENV CARGO_HOME=/opt/cargo RUSTUP_HOME=/opt/rustup
# hadolint ignore=DL3008
RUN set -eu; \
    mkdir -p /out/etc/ssl/certs; \
    if [ -x dist/ml-deploy ] && [ -f dist/ca-certificates.crt ]; then \
      cp dist/ml-deploy /out/; \
      cp dist/ca-certificates.crt /out/etc/ssl/certs/; \
    else \
      apt-get update; \
      apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev rustup; \
      rustup toolchain install --profile minimal 1.95.0; \
      RUSTFLAGS='-C target-feature=+crt-static' cargo +1.95.0 build --locked --profile dist \
        --no-default-features --target x86_64-unknown-linux-gnu --bin ml-deploy; \
      cp target/x86_64-unknown-linux-gnu/dist/ml-deploy /out/; \
      cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/; \
      rm -rf target /opt/cargo /opt/rustup /var/lib/apt/lists/*; \
    fi; \
    ln -s ml-deploy /out/ml-deploy-post

FROM scratch
LABEL org.opencontainers.image.title="ml-deploy-action" \
      org.opencontainers.image.description="Promotes one image digest of an ML API through its environments on Cloud Run" \
      org.opencontainers.image.licenses="Apache-2.0"
# A folder as a whole, so that the link stays one: /ml-deploy-post is the action's `post-entrypoint`.
COPY --from=binary /out/ /
# Root, because the runner mounts the Docker socket and root-owned command files and passes no user.
ENTRYPOINT ["/ml-deploy"]
