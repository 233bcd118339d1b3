# The image of Belfry: the console by Node, the binary by Rust, and of both only the binary in a small
# Debian. Runs as a user without rights; everything that it keeps lies in /var/lib/belfry.
#
#   docker build -t belfry .
#   docker run -p 127.0.0.1:8000:8000 -v belfry:/var/lib/belfry belfry

FROM node:22-bookworm-slim AS console
WORKDIR /src/console
COPY console/package.json console/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY console ./
RUN npm run build

# The version that rust-toolchain.toml names; a test compares.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=console /src/console/dist console/dist
# The caches stay with the builder, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin belfry \
    && install -D target/release/belfry /out/belfry

FROM debian:bookworm-slim
# Certificates of the authorities that webhooks' receivers are verified by.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home belfry \
    && install --directory --owner belfry --group belfry --mode 700 /var/lib/belfry
COPY --from=build /out/belfry /usr/local/bin/belfry

USER 10001:10001
WORKDIR /var/lib/belfry
VOLUME /var/lib/belfry
ENV BELFRY_LISTEN=0.0.0.0:8000 \
    DATABASE_URL=sqlite:///var/lib/belfry/belfry.db
EXPOSE 8000
# A start that migrates or catches up may take a while; afterwards 5 s are the check's own limit.
HEALTHCHECK --start-period=60s --interval=5s --timeout=6s --retries=3 CMD ["belfry", "healthcheck"]
ENTRYPOINT ["belfry"]
CMD ["serve"]
