"""Starts the server: `python3 -m app`. With `--check` it only proves that the image can answer.

Environment: PORT (default 8080, as Cloud Run sets it), MODEL_PATH, GOOGLE_CLOUD_PROJECT (links log
lines to traces) and the names in app/identity.py.
"""

import logging
import os
import sys
from pathlib import Path

import uvicorn

from app.api import create_app
from app.identity import read_identity
from app.logs import configure_logs
from app.model import load_model
from app.schema import Measures

_log = logging.getLogger("app")


def main(arguments: list[str]) -> None:
    configure_logs(project=os.environ.get("GOOGLE_CLOUD_PROJECT", ""))
    identity = read_identity(os.environ)
    model = load_model(Path(os.environ.get("MODEL_PATH", "model.joblib")))
    # The first prediction is slower than all others: made here, no caller waits for it, and a model
    # that cannot predict never listens.
    model.predict(Measures(sepal_length=5.1, sepal_width=3.5, petal_length=1.4, petal_width=0.2))
    if "--check" in arguments:
        return
    port = int(os.environ.get("PORT", "8080"))
    _log.info(
        "version %s, commit %s, model %s: listening on port %d",
        identity.version,
        identity.commit,
        model.version,
        port,
    )
    uvicorn.run(
        create_app(model, identity),
        # Every interface: Cloud Run reaches the container from outside.
        host="0.0.0.0",
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Cloud Run gives 10 s between SIGTERM and SIGKILL: requests under way end before.
        timeout_graceful_shutdown=8,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
