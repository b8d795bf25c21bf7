"""Prints golden.yaml: the API tests that ml-deploy runs against a candidate before it gets traffic.

The expected answers are those of this code and this model. Run it where the pinned packages are:

    docker build --target test --tag ml-api-test .
    docker run --rm ml-api-test python3 record_golden.py > golden.yaml

and read the difference before you commit it: a changed prediction is a changed product.
"""

import sys
from typing import Any

import yaml
from fastapi.testclient import TestClient

from app.api import create_app
from app.identity import Identity
from app.model import Artefact, Model
from train import FEATURES, train

HEADER = """\
# yaml-language-server: $schema=../../docs/schema/tests.schema.json
#
# Requests to a candidate, and what it must answer. Written by record_golden.py; do not edit.
# `json` is compared as a subset: what is named must be there, numbers within the tolerance.
"""
# Probabilities are rounded to this many places, more than the tolerance looks at.
PLACES = 9

SETOSA = [5.1, 3.5, 1.4, 0.2]
# What to send to /predict for a prediction.
PREDICTIONS = [
    ("predicts setosa", SETOSA),
    ("predicts versicolor", [7.0, 3.2, 4.7, 1.4]),
    ("predicts virginica", [6.3, 3.3, 6.0, 2.5]),
    ("predicts virginica, close to versicolor", [6.7, 3.0, 5.0, 1.7]),
    ("predicts versicolor, close to virginica", [6.3, 2.8, 5.1, 1.5]),
    ("predicts setosa for a small flower", [4.3, 3.0, 1.1, 0.1]),
    ("predicts virginica for a large flower", [7.9, 3.8, 6.4, 2.0]),
    ("takes whole numbers", [6, 3, 5, 2]),
    ("takes the largest measures that are allowed", [30, 30, 30, 30]),
]


def flower(measures: list[float], **changes: Any) -> dict[str, Any]:
    """A request body; a change to None leaves the field out."""
    body = dict(zip(FEATURES, measures, strict=True)) | changes
    return {name: value for name, value in body.items() if value is not None}


# What /predict must refuse.
REFUSALS = [
    ("rejects a missing field", flower(SETOSA, petal_width=None)),
    ("rejects an unknown field", flower(SETOSA, colour="blue")),
    ("rejects text for a number", flower(SETOSA, sepal_length="5.1")),
    ("rejects a negative measure", flower(SETOSA, petal_length=-1.4)),
    ("rejects a measure beyond the bound", flower(SETOSA, sepal_width=30.5)),
    ("rejects a list for a flower", [SETOSA]),
]


def record(client: TestClient) -> dict[str, Any]:
    """Sends every request and notes the answers."""
    cases = [
        _case(client, "health answers", "GET", "/health", keep=["status"], max_latency_ms=2000),
        _case(client, "version names the model", "GET", "/version", keep=["model_version"]),
        _case(client, "the interface is described", "GET", "/openapi.json", keep=["openapi"]),
    ]
    for name, measures in PREDICTIONS:
        keep = ["label", "probabilities"]
        cases.append(_case(client, name, "POST", "/predict", flower(measures), keep, max_latency_ms=2000))
    for name, body in REFUSALS:
        cases.append(_case(client, name, "POST", "/predict", body))
    cases.append(_case(client, "rejects the wrong method", "GET", "/predict"))
    return {"defaults": {"tolerance": {"absolute": 1e-6}}, "cases": cases}


def _case(
    client: TestClient,
    name: str,
    method: str,
    path: str,
    body: Any = None,
    keep: list[str] | None = None,
    **limits: int,
) -> dict[str, Any]:
    request: dict[str, Any] = {"method": method, "path": path}
    if body is not None:
        request["json"] = body
    response = client.request(method, path, json=body)
    expect: dict[str, Any] = {"status": response.status_code}
    if keep:
        expect["json"] = {key: _rounded(value) for key, value in response.json().items() if key in keep}
    return {"name": name, "request": request, "expect": expect | limits}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, PLACES) if isinstance(value, float) else value


class _Writer(yaml.SafeDumper):
    """Repeats what occurs twice: anchors would be hard to read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def render(suite: dict[str, Any]) -> str:
    text = yaml.dump(suite, Dumper=_Writer, sort_keys=False, width=100, default_flow_style=None)
    return HEADER + text


def main() -> None:
    api = create_app(Model(Artefact(**train())), Identity(version="0.0.0", commit="unknown"))
    with TestClient(api, raise_server_exceptions=False) as client:
        sys.stdout.write(render(record(client)))


if __name__ == "__main__":
    main()
