"""`graders serve`."""

from __future__ import annotations

from dataclasses import replace

import click

from graders_engine.cli.options import engine_settings
from graders_engine.errors import InvalidRequest
from graders_engine.settings import EngineSettings

KEY_VARIABLE = "GRADERS_API_KEY"


@click.command("serve")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="0 for any that is free.",
)
@click.option(
    "--api-key",
    metavar="KEY",
    envvar=KEY_VARIABLE,
    show_envvar=True,
    help="What `Authorization: Bearer` must carry. Others on this machine can read a command line: "
    "better set the variable.",
)
@click.option(
    "--no-auth",
    is_flag=True,
    help="Let anybody who can reach the address run graders, code included.",
)
@click.option(
    "--allow-endpoints",
    is_flag=True,
    help="Let endpoint graders run: they send rows to any address that a request names.",
)
@click.option(
    "--max-body-bytes",
    metavar="N",
    type=click.IntRange(1),
    default=32 << 20,
    show_default=True,
    help="Longest request.",
)
@click.option(
    "--max-row-bytes",
    metavar="N",
    type=click.IntRange(1),
    default=4 << 20,
    show_default=True,
    help="Longest item with its sample, as JSON.",
)
@click.option(
    "--max-queue",
    metavar="N",
    type=click.IntRange(0),
    default=1024,
    show_default=True,
    help="Requests that may wait for a turn; one more is answered 429.",
)
@click.option(
    "--deadline-s",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    default=540.0,
    show_default=True,
    help="Longest time a request is worked on; the SDKs ask again after 600.",
)
@click.option(
    "--read-timeout-s",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    default=60.0,
    show_default=True,
    help="Longest time a client may take to send a request.",
)
@click.option("--log-bodies", is_flag=True, help="Log requests and responses whole: users' data.")
@engine_settings()
def command(
    settings: EngineSettings,
    host: str,
    port: int,
    api_key: str | None,
    no_auth: bool,
    allow_endpoints: bool,
    max_body_bytes: int,
    max_row_bytes: int,
    max_queue: int,
    deadline_s: float,
    read_timeout_s: float,
    log_bodies: bool,
) -> None:
    """Serve the hosted API's grader routes: point an SDK's base_url at http://HOST:PORT/v1.

    /docs describes the routes, /metrics has figures for Prometheus, /healthz answers when all is well. Each
    request is a line of JSON on standard error. SIGTERM ends the server after what it has accepted.
    """
    try:
        from graders_engine.server import serving
        from graders_engine.server.settings import ServerSettings
    except ImportError as error:
        raise InvalidRequest(
            f"The server needs packages that are not installed ({error.name}): "
            "pip install 'graders-engine[server]'."
        ) from None
    if api_key == "":
        raise InvalidRequest("The API key is empty: give one, or leave it out.")
    listener = serving.listen(host, port)
    given = ServerSettings(
        api_key=api_key,
        max_body_bytes=max_body_bytes,
        max_row_bytes=max_row_bytes,
        max_queue=max_queue,
        deadline_s=deadline_s,
        read_timeout_s=read_timeout_s,
        log_bodies=log_bodies,
    )
    guarded = serving.guarded(given, listener, no_auth=no_auth)
    address = serving.url(listener)
    engine = replace(settings, allow_endpoints=allow_endpoints)
    serving.serve(
        engine,
        guarded,
        listener,
        lambda: click.echo(f"Serving graders on {address} (docs: {address}/docs)"),
    )
