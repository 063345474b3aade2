"""The command `app`: Streamlit on a store, with the app's own settings wherever it is started."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from retail_seg.cli.common import say, store_option

file_option = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@store_option
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--host", default="localhost", show_default=True, help="Address to listen on; 0.0.0.0 for all of them.")
@click.option("--secrets", type=file_option, help="Streamlit's secrets.toml with an identity provider under [auth].")
@click.option(
    "--certificate", type=file_option, help="TLS certificate (PEM), for https; phones want it for the camera."
)
@click.option("--key", type=file_option, help="Key of the certificate (PEM).")
def app(store: Path, port: int, host: str, secrets: Path | None, certificate: Path | None, key: Path | None) -> None:
    """Open the web app on a store; Ctrl-C ends it.

    It is for this computer only, unless --host says otherwise; then people must log in: see `retail-seg user`.
    """
    import os
    import sys

    from retail_seg.demo import app_file, check_store

    check_store(store)
    _check_host(store, host, secrets)
    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key belong together; give both")
    settings = {
        **packaged_settings(),
        "server.address": host,
        "server.port": str(port),
        "server.fileWatcherType": "none",
    }
    files = {"secrets.files": secrets, "server.sslCertFile": certificate, "server.sslKeyFile": key}
    settings |= {name: str(file.absolute()) for name, file in files.items() if file}
    options = [f"--{name}={value}" for name, value in settings.items()]
    environment = {**os.environ, "RETAIL_SEG_STORE": str(store.absolute())}
    say(f"The app shows {store} at {'https' if certificate else 'http'}://{host}:{port}; Ctrl-C ends it")
    # -P keeps the working directory off the import path: a folder `index/` there must not stand in for ours
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(app_file()), *options]
    os.execve(sys.executable, command, environment)  # in this process's place, so that ending it ends the app


def packaged_settings() -> dict[str, str]:
    """The app's settings as Streamlit's options take them: `client.toolbarMode` ► `minimal`."""
    import tomllib
    from importlib.resources import files

    text = (files("retail_seg") / "web" / "config.toml").read_text(encoding="utf-8")
    return dict(_flat("", tomllib.loads(text)))


def _flat(prefix: str, table: dict[str, object]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def _check_host(store: Path, host: str, secrets: Path | None) -> None:
    from retail_seg.people.roles import AccountError
    from retail_seg.people.users import has_logins, is_loopback

    if not is_loopback(host) and not has_logins(store, _secrets_files(secrets)):
        raise AccountError(
            f"--host {host}: other computers could change the store without a login; add users first "
            f"(`retail-seg user add NAME --role manager --store {store}`), or leave --host away"
        )


def _secrets_files(secrets: Path | None) -> list[Path]:
    """Where Streamlit looks for secrets."""
    return [secrets] if secrets else [base / ".streamlit" / "secrets.toml" for base in (Path.home(), Path.cwd())]
