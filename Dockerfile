# scenetex on CPUs. Not built yet: where this was written, no base image could be had.
#
#   docker build -t scenetex .
#   docker run --rm -v "$PWD:/work" scenetex texture SCENE --output output
#   docker run --rm -p 127.0.0.1:7860:7860 scenetex app --host 0.0.0.0 --no-open
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home scenetex \
    && install --directory --owner scenetex /opt/scenetex /work

USER scenetex
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /opt/scenetex
COPY --chown=scenetex . .

# README's two commands: the first installs into .venv and textures the sample room, the second knows it from there on.
RUN make demo \
    && rm -rf output
RUN source .venv/bin/activate \
    && pip install --no-cache-dir -c constraints.txt -e ".[app]"
ENV PATH="/opt/scenetex/.venv/bin:$PATH"

WORKDIR /work
ENTRYPOINT ["scenetex"]
CMD ["--help"]
