"""Structured logs: one JSON object a line on stdout, with the fields that Cloud Logging reads.

Fields: https://cloud.google.com/logging/docs/structured-logging#special-payload-fields
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any, TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Header of Google's front end: TRACE_ID/SPAN_ID;o=OPTIONS.
_TRACE_HEADER = b"x-cloud-trace-context"

_access_log = logging.getLogger("access")


class JsonFormatter(logging.Formatter):
    """Renders a record as one line of JSON; a traceback goes into `message`, where Error Reporting looks."""

    def __init__(self, project: str) -> None:
        super().__init__()
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        entry: dict[str, Any] = {
            "severity": record.levelname,
            "message": message,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
        }
        request = getattr(record, "http_request", None)
        if request is not None:
            entry["httpRequest"] = request
        trace = getattr(record, "trace", "")
        if trace and self._project:
            entry["logging.googleapis.com/trace"] = f"projects/{self._project}/traces/{trace}"
        return json.dumps(entry, ensure_ascii=False)


def configure_logs(project: str, stream: TextIO = sys.stdout) -> None:
    """Sends every logger, uvicorn's too, through one JSON handler."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(project))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


class AccessLog:
    """ASGI middleware: one line a request with the `httpRequest` field.

    Bodies and query strings are not logged: they may carry what people typed.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # 500 stands unless an answer is begun: an exception that leaves the app becomes one.
        status = 500
        size = 0
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, observe)
        finally:
            _write_access_line(scope, status, size, time.perf_counter() - started)


def _write_access_line(scope: Scope, status: int, size: int, seconds: float) -> None:
    headers = dict(scope["headers"])
    method, path = scope["method"], scope["path"]
    _access_log.log(
        _level_of(status),
        "%s %s %d",
        method,
        path,
        status,
        extra={
            "http_request": {
                "requestMethod": method,
                "requestUrl": path,
                "status": status,
                # LogEntry.HttpRequest: sizes are strings (int64), latency is a duration in seconds.
                "responseSize": str(size),
                "userAgent": headers.get(b"user-agent", b"").decode("latin-1"),
                "remoteIp": scope["client"][0] if scope.get("client") else "",
                "latency": f"{seconds:.6f}s",
                "protocol": f"HTTP/{scope['http_version']}",
            },
            "trace": headers.get(_TRACE_HEADER, b"").decode("latin-1").partition("/")[0],
        },
    )


def _level_of(status: int) -> int:
    if status >= 500:
        return logging.ERROR
    return logging.WARNING if status >= 400 else logging.INFO
