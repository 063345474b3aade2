"""The command `serve`: a store over HTTP, for scripts."""

from __future__ import annotations

from pathlib import Path

import click

from retail_seg.cli.common import say, store_option

file_option = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@store_option
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--host", default="localhost", show_default=True, help="Address to listen on; 0.0.0.0 for all of them.")
@click.option("--certificate", type=file_option, help="TLS certificate (PEM), for https.")
@click.option("--key", type=file_option, help="Key of the certificate (PEM).")
@click.option("--tls-in-front", is_flag=True, help="A proxy in front speaks TLS: plain HTTP on --host is meant.")
@click.option(
    "--rate", default=100.0, show_default=True, type=click.FloatRange(0), help="Requests a second of a token."
)
@click.option("--waiting", default=32, show_default=True, type=click.IntRange(1, 10_000), help="Photos that may wait.")
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Form of the log.")
def serve(
    store: Path,
    port: int,
    host: str,
    certificate: Path | None,
    key: Path | None,
    tls_in_front: bool,
    rate: float,
    waiting: int,
    log: str,
) -> None:
    """Answer scripts over HTTP: scan, match, products, imports; for who holds a token (`retail-seg token add`).

    What can be asked is described at /docs and /openapi.json. Ctrl-C or SIGTERM ends it; what was taken is finished.
    """
    from retail_seg.system.threads import let_waiting_threads_sleep

    let_waiting_threads_sleep()
    from retail_seg.api.limits import Capacity
    from retail_seg.api.serving import serve as run

    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key belong together; give both")
    say(f"{store} at {'https' if certificate else 'http'}://{host}:{port}/docs; Ctrl-C ends it")
    run(
        store, host, port, certificate=certificate, key=key, tls_in_front=tls_in_front, log_json=log == "json",
        capacity=Capacity(rate=rate, waiting=waiting),
    )  # fmt: skip
