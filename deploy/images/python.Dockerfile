# Python with pytest and pyflakes from Debian's packages: what the Python examples run in.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates pyflakes3 python3 python3-pytest \
 && rm -rf /var/lib/apt/lists/*
# What this machine trusts (a company's proxy, say), the image trusts too.
COPY ca-certificates.crt /etc/ssl/certs/
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
CMD ["python3"]
