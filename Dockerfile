# linnetd and linnet on Debian 12's libraries, nothing else. Runs as nobody in particular, on a read-only root:
#
#     docker build -t linnet .
#     docker run --read-only -p 5672:5672 -e RABBITMQ_DEFAULT_USER=anna -e RABBITMQ_DEFAULT_PASS=secret linnet
#
# Without a user of its own the broker knows only `guest`, who may come from the same machine only: from
# within the container, then. Configuration: mount /etc/linnet, or set LINNET_... variables.
FROM debian:12 AS build
WORKDIR /src
COPY dev ./
RUN ./dev packages run
COPY . .
RUN cmake --preset release -B /build -D LINNET_TESTS=OFF -D LINNET_BENCH=OFF \
    && cmake --build /build --target linnetd linnet \
    && strip /build/broker/app/linnetd /build/clients/cli/linnet

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libargon2-1 libcrypt1 libfmt9 libpcre2-8-0 libspdlog1.10 libssl3 libstdc++6 liburing2 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/linnet
COPY --from=build /build/broker/app/linnetd /build/clients/cli/linnet /usr/bin/
COPY config/linnet.toml /etc/linnet/linnet.toml
COPY LICENSE /usr/share/doc/linnet/copyright
USER 10001:10001
ENV STATE_DIRECTORY=/var/lib/linnet
VOLUME /var/lib/linnet
EXPOSE 5672 5671 1883 8883 15672 15671 15675 15692
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s CMD ["linnet", "health"]
ENTRYPOINT ["linnetd"]
