# Postgres from Debian's packages, for machines that cannot pull `postgres`. Knows the same three variables.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends postgresql \
 && rm -rf /var/lib/apt/lists/* /var/lib/postgresql \
 && install -d -o postgres -g postgres -m 700 /var/lib/postgresql/data
COPY postgres-entry /usr/local/bin/
USER postgres
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["postgres-entry"]
