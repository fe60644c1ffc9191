# One image for every riskmon command; docker-compose.yml says which service runs which.
FROM python:3.11.14-bookworm AS build
WORKDIR /build
# Every wheel is checked against the lock file's hashes. From them only what riskmon needs at run time is installed.
COPY requirements.lock .
RUN python -m pip wheel --no-cache-dir --require-hashes --only-binary :all: --wheel-dir /wheels -r requirements.lock
COPY pyproject.toml .
COPY setup.py .
COPY LICENSE .
COPY streams streams
COPY producers producers
COPY models models
COPY monitoring monitoring
# The compiler wants to see the types of all that the core uses.
RUN python -m pip install --no-cache-dir --no-index --find-links /wheels --require-hashes -r requirements.lock \
    && COMPILE_RISKMON=1 python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m venv /opt/riskmon && /opt/riskmon/bin/pip install --no-cache-dir --no-index --find-links /wheels riskmon

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin riskmon \
    && install --directory --owner 10001 --group 10001 /var/lib/riskmon /var/lib/riskmon/forest
COPY --from=build /opt/riskmon /opt/riskmon
ENV PATH=/opt/riskmon/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RISKMON_HOME=/var/lib/riskmon \
    RISKMON_STATE_DIR=/tmp/state \
    RISKMON_METRICS_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/riskmon
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9464/readyz', timeout=4)"]
ENTRYPOINT ["riskmon"]
