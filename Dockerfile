# Two stages: build on Debian 12 with the system's DPDK, run with only what is linked. The image needs the host's hugepages and
# devices (or none of both, with net_tap and `hugepages: false`): see docs/operators-guide.md.
FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      build-essential ca-certificates curl libclang-dev libdpdk-dev pkg-config
# The toolchain: rustup's, as everywhere else in this project.
RUN curl -fsS https://sh.rustup.rs | sh -s -- -y --profile minimal
WORKDIR /src
COPY . .
RUN . "$HOME/.cargo/env" && cargo build --release --locked -p wirepatch

FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends dpdk libdpdk-dev && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/wirepatch /usr/bin/wirepatch
COPY patches /usr/share/wirepatch/patches
COPY deploy/wirepatch.yaml /etc/wirepatch/wirepatch.yaml
RUN wirepatch test /usr/share/wirepatch/patches
ENTRYPOINT ["/usr/bin/wirepatch"]
CMD ["run", "--config", "/etc/wirepatch/wirepatch.yaml"]
