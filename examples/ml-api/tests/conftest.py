import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.api import create_app  # noqa: E402
from app.identity import Identity  # noqa: E402
from app.model import Artefact, Model  # noqa: E402
from train import train  # noqa: E402


@pytest.fixture(scope="session")
def artefact() -> dict[str, Any]:
    return train()


@pytest.fixture(scope="session")
def model(artefact: dict[str, Any]) -> Model:
    return Model(Artefact(**artefact))


@pytest.fixture(scope="session")
def client(model: Model) -> Iterator[TestClient]:
    with TestClient(create_app(model, Identity(version="1.2.3", commit="0a1b2c3"))) as client:
        yield client
