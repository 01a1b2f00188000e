# The book's notebooks in JupyterLab. docker build -t kledit-lite . && docker run -p 8888:8888 kledit-lite
#
# torch comes as pip finds it: with --build-arg PIP_EXTRA_INDEX_URL=... naming an index of CPU builds
# the image is several gigabytes smaller. Two gigabytes of memory are enough for every chapter.
FROM python:3.12-slim

ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 KLEDIT_PROFILE=lite

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home reader

WORKDIR /srv/book
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY kledit_lite kledit_lite
RUN python -m pip install --constraint constraints.txt --editable '.[book,lab]'
COPY _config.yml _toc.yml Makefile ./
COPY book book
COPY notebooks notebooks
RUN chown -R reader:reader /srv/book

USER reader
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "notebooks"]
