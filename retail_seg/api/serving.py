"""A server started and ended: uvicorn on one address, in one process that owns the store's networks."""

from __future__ import annotations

import json
import logging
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retail_seg.api.limits import Capacity
from retail_seg.errors import MissingExtraError, RetailSegError
from retail_seg.people.users import is_loopback
from retail_seg.system.memory import hand_memory_back

#: What a line of the log may hold beside its text.
FIELDS = ("request_id", "method", "path", "status", "seconds", "who", "problem", "what", "request_ids", "stages", "job")

#: Seconds for which a thread keeps Python's lock where others want it, a fifth of the default: what is only looked up
#: waits for it several times, beside the thread that computes.
SWITCH = 0.001


class ServeError(RetailSegError):
    """A server cannot be started like that."""


def serve(
    store: Path,
    host: str,
    port: int,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    tls_in_front: bool = False,
    log_json: bool = False,
    capacity: Capacity | None = None,
) -> None:
    """Answer requests until SIGTERM or Ctrl-C; what was taken is finished then. Raises ServeError, StoreError."""
    check_address(host, encrypted=bool(certificate) or tls_in_front)
    check_certificate(certificate, key)
    try:
        import uvicorn

        from retail_seg.api.app import build
        from retail_seg.api.service import Service
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"`retail-seg serve` needs {error.name}; install it with `pip install -c constraints.txt '.[serve]'`"
        ) from None
    log_to(sys.stderr, as_json=log_json)
    capacity = capacity or Capacity()
    hand_memory_back()
    sys.setswitchinterval(SWITCH)
    app = build(Service(store, capacity))
    uvicorn.run(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False,
        ssl_certfile=certificate, ssl_keyfile=key, timeout_graceful_shutdown=round(capacity.patience),
        h11_max_incomplete_event_size=2**16,
    )  # fmt: skip


def check_address(host: str, *, encrypted: bool) -> None:
    """Raise ServeError where tokens would travel in the clear."""
    if not encrypted and not is_loopback(host):
        raise ServeError(
            f"--host {host}: tokens would travel in the clear; give --certificate and --key, or say --tls-in-front "
            f"where a proxy in front of it speaks TLS"
        )


def check_certificate(certificate: Path | None, key: Path | None) -> None:
    """Raise ServeError where the two files are no certificate with its key."""
    if certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors
        raise ServeError(
            f"{certificate}: is no certificate that fits {key} ({error}); give both as PEM, the key without a password"
        ) from None


def log_to(stream: Any, *, as_json: bool) -> None:
    """Write the log to a stream: a line of text or, `as_json`, an object each."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for name, level in (("", logging.WARNING), ("retail_seg", logging.INFO), ("uvicorn.error", logging.INFO)):
        logging.getLogger(name).setLevel(level)
    logging.getLogger().addHandler(handler)


class JsonLines(logging.Formatter):
    """A line of the log as one JSON object; where it came with an error, with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"at": at, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= {name: value for name in FIELDS if (value := getattr(record, name, "")) != ""}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
