import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.logs import AccessLog, configure_logs
from record_golden import SETOSA, flower


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    configure_logs(project="acme", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def access_lines(log: io.StringIO) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in log.getvalue().splitlines()]
    return [entry for entry in entries if entry["logger"] == "access"]


def test_a_request_is_one_line_with_its_fields(client: TestClient, log: io.StringIO) -> None:
    client.post(
        "/predict?secret=1",
        json=flower(SETOSA),
        headers={"user-agent": "probe", "x-cloud-trace-context": "4bf92f35/7;o=1"},
    )
    (entry,) = access_lines(log)
    request = entry["httpRequest"]
    assert entry["severity"] == "INFO"
    assert entry["message"] == "POST /predict 200"
    assert entry["logging.googleapis.com/trace"] == "projects/acme/traces/4bf92f35"
    assert (request["requestMethod"], request["requestUrl"], request["status"]) == ("POST", "/predict", 200)
    assert request["userAgent"] == "probe"
    assert request["latency"].endswith("s") and float(request["latency"][:-1]) > 0
    assert int(request["responseSize"]) > 0
    assert "secret" not in json.dumps(entry)


def test_a_refused_request_is_a_warning(client: TestClient, log: io.StringIO) -> None:
    client.post("/predict", json={})
    (entry,) = access_lines(log)
    assert (entry["severity"], entry["httpRequest"]["status"]) == ("WARNING", 422)


def test_a_failing_request_is_an_error(log: io.StringIO) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("no answer")

    client = TestClient(AccessLog(broken), raise_server_exceptions=False)
    client.get("/health")
    (entry,) = access_lines(log)
    assert (entry["severity"], entry["httpRequest"]["status"]) == ("ERROR", 500)


def test_a_traceback_stays_in_its_line(log: io.StringIO) -> None:
    try:
        raise ValueError("bad\nluck")
    except ValueError:
        logging.getLogger("app").exception("failed")
    (line,) = log.getvalue().splitlines()
    entry = json.loads(line)
    assert entry["severity"] == "ERROR"
    assert entry["message"].startswith("failed\nTraceback")
    assert "ValueError: bad\nluck" in entry["message"]
