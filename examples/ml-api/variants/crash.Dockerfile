# A broken release, to be stopped by ml-deploy: see README.md.
ARG SAMPLE=ml-api:latest
# hadolint ignore=DL3006
FROM ${SAMPLE}
USER 0
# uvicorn is gone: "ModuleNotFoundError: No module named 'uvicorn'", exit code 1.
RUN ["python3", "-c", "import shutil; shutil.rmtree('/opt/packages/uvicorn')"]
# hadolint ignore=DL3066
USER appuser
ARG APP_COMMIT=unknown
ENV APP_COMMIT=${APP_COMMIT}
