"""Ray started here, or a cluster of it entered: a dead address is one sentence within seconds."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from retail_seg import __version__
from retail_seg.errors import FleetError, MissingExtraError

#: Seconds until an address counts as one where nothing listens.
_CONNECT = 5
#: Bytes of a local object store: lines of JSON pass, and encoded pictures a portion at a time.
_OBJECTS = 128 * 2**20


def ray_module() -> Any:
    """Ray, which tells nobody that it is used; raises MissingExtraError."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return import_module("ray")
    except ImportError:
        raise MissingExtraError(
            "work on several machines needs Ray; install it with `pip install retail-seg[ray]`"
        ) from None


@contextmanager
def entered(address: str | None, workers: int | None) -> Iterator[Any]:
    """Ray, connected for the block: to the cluster at HOST:PORT, else to one of `workers` cores that starts here.

    A cluster that this process has entered already is used as it is. Raises FleetError where nothing listens: Ray
    itself waits there for two minutes and then ends the process.
    """
    if address is not None:
        _show_token()
    ray = ray_module()
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": False}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": workers,
            "object_store_memory": _OBJECTS,
            "include_dashboard": False,
        }
    else:
        _listens(address)
        options["address"] = address
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = address or "this machine"
        raise FleetError(f"{where}: Ray cannot be entered or started ({_first(error)}); see `ray status`") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def brought_up(threads: int, version: str) -> str:
    """In a worker, before its networks are opened: it computes in so many threads; the id of its node.

    Raises FleetError where its program is not of this version.
    """
    from retail_seg.system.threads import compute_in, let_waiting_threads_sleep

    let_waiting_threads_sleep()
    compute_in(threads)
    if version != __version__:
        raise FleetError(
            f"a worker on another machine has another program there (retail-seg {__version__}, not {version}); "
            "install the same on every machine"
        )
    node: str = ray_module().get_runtime_context().get_node_id()
    return node


def cores_of(ray: Any) -> int:
    """How many cores the cluster has, 1 at least."""
    return max(int(ray.cluster_resources().get("CPU", 1)), 1)


def shared_out(ray: Any, tasks: int, workers: int | None) -> tuple[int, int]:
    """How many workers, at most so many, take these tasks, and how many cores each can have beside the others."""
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    size = max(min(workers or sum(nodes), tasks), 1)
    fits = (cores for cores in range(max(nodes, default=1), 1, -1) if sum(node // cores for node in nodes) >= size)
    return size, next(fits, 1)


def _show_token() -> None:
    """`ray start` lets in who shows the token that it keeps; Ray shows it if told so before its import.

    Not where Ray starts here: told so, it then refuses itself.
    """
    if "RAY_AUTH_TOKEN" in os.environ or (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not re.fullmatch(r"\d{1,5}", port) or not host or "/" in host:
        raise FleetError(f"{address}: is no address of Ray; give HOST:PORT, as `ray start --head` says it")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no answer"
        raise FleetError(f"{address}: no Ray listens there ({reason}); start it with `ray start --head`") from None


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
