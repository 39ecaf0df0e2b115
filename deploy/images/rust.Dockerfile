# The Rust toolchain of this machine, on Debian: what `pipelines/ci.yml` builds Trunkline with.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates gcc git libc6-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
# What this machine trusts (a company's proxy, say), the image trusts too.
COPY ca-certificates.crt /etc/ssl/certs/
COPY toolchain /usr/local
CMD ["bash"]
