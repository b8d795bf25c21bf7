"""The routes."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.identity import Identity
from app.logs import AccessLog
from app.model import Model
from app.schema import Health, Measures, Prediction, Unreadable, Version


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
    api.add_exception_handler(RequestValidationError, refuse)

    # async: these answer from memory, so a hop to a worker thread would only cost time.
    @api.get("/health", operation_id="health")
    async def health() -> Health:
        return Health(status="ok")

    @api.get("/version", operation_id="version")
    async def version() -> Version:
        return Version(version=identity.version, commit=identity.commit, model_version=model.version)

    # 400: the bytes are no UTF-8, so FastAPI has no body to validate. It does not document that itself.
    @api.post(
        "/predict",
        operation_id="predict",
        responses={400: {"model": Unreadable, "description": "The body cannot be read"}},
    )
    def predict(measures: Measures) -> Prediction:
        return model.predict(measures)

    return api


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """Answers 422 with what is wrong and where, but without the values that were sent.

    FastAPI's own handler repeats them, and fails (500) where one has no JSON form: 1e309 is read as
    infinity.
    """
    found = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{key: item[key] for key in ("type", "loc", "msg")} for item in found]
    return JSONResponse({"detail": detail}, status_code=422)
