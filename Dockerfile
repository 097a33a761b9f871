# Runline from this checkout: `docker build --tag runline .`
# Applications are mounted or copied into /app, where `--app FILE.py:NAME` finds them.

FROM python:3.13.13-slim-trixie AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY projections projections
COPY consumers consumers
RUN python -m venv /opt/runline && /opt/runline/bin/pip install --no-cache-dir .

FROM python:3.13.13-slim-trixie
COPY --from=build /opt/runline /opt/runline
ENV PATH=/opt/runline/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --user-group --create-home --home-dir /app runline
USER runline
WORKDIR /app
ENTRYPOINT ["runline"]
CMD ["--help"]
