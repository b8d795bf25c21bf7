# A broken release, to be stopped by ml-deploy: see README.md.
ARG SAMPLE=ml-api:latest
# hadolint ignore=DL3006
FROM ${SAMPLE}
USER 0
# The features are handed to the model from last to first.
RUN ["python3", "-c", "import joblib; artefact = joblib.load('model.joblib'); artefact['features'].reverse(); joblib.dump(artefact, 'model.joblib')"]
# hadolint ignore=DL3066
USER appuser
ARG APP_COMMIT=unknown
ENV APP_COMMIT=${APP_COMMIT}
