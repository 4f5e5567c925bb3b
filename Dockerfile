# One image for every role and for the simulated venue; which one it is, the command says.
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/fillonce
ENV PATH=/opt/fillonce/bin:$PATH
# The pinned packages first: they change less often than the code.
COPY requirements.lock /src/
RUN pip install --require-hashes -r /src/requirements.lock
COPY pyproject.toml README.md /src/
COPY streams /src/streams
COPY adapters /src/adapters
COPY consumers /src/consumers
COPY lua /src/lua
COPY examples/strategies /src/examples/strategies
COPY tests/examples /src/tests/examples
RUN pip install --no-deps --no-build-isolation /src

FROM python:3.12-slim
ENV PATH=/opt/fillonce/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN groupadd --gid 10001 fillonce \
 && useradd --uid 10001 --gid fillonce --no-create-home --home-dir /work --shell /usr/sbin/nologin fillonce \
 && install --directory --owner=fillonce --group=fillonce /work /work/.fillonce
COPY --from=build /opt/fillonce /opt/fillonce
# No package lies here: one beside the process would hide one of ours, and the start is refused then.
WORKDIR /work
USER fillonce
STOPSIGNAL SIGTERM
CMD ["fillonce", "--help"]
