"""The routes."""

from fastapi import FastAPI

from app.identity import Identity
from app.logs import AccessLog
from app.model import Model
from app.schema import Health, Measures, Prediction, Version


def create_app(model: Model, identity: Identity) -> FastAPI:
    api = FastAPI(
        title="ML API",
        summary="Classifies iris flowers.",
        version=identity.version,
        # Their pages load scripts from elsewhere; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
    )
    api.add_middleware(AccessLog)

    # async: these answer from memory, so a hop to a worker thread would only cost time.
    @api.get("/health", operation_id="health")
    async def health() -> Health:
        return Health(status="ok")

    @api.get("/version", operation_id="version")
    async def version() -> Version:
        return Version(version=identity.version, commit=identity.commit, model_version=model.version)

    @api.post("/predict", operation_id="predict")
    def predict(measures: Measures) -> Prediction:
        return model.predict(measures)

    return api
