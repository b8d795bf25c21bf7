# A broken release, to be stopped by ml-deploy: see README.md.
ARG SAMPLE=ml-api:latest
# hadolint ignore=DL3006
FROM ${SAMPLE}
# PORT is written in code, whatever the platform says.
ENTRYPOINT ["python3", "-c", "import os, runpy; os.environ['PORT'] = '9999'; runpy.run_module('app', run_name='__main__')"]
ARG APP_COMMIT=unknown
ENV APP_COMMIT=${APP_COMMIT}
