"""`graders serve`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from graders_engine.cli.parsing.command import Command
from graders_engine.cli.parsing.engine_options import engine_settings
from graders_engine.cli.parsing.grader import takes_grader
from graders_engine.cli.request import read_flag
from graders_engine.errors import InvalidRequest
from graders_engine.server.settings import ServerSettings
from graders_engine.settings import EngineSettings
from graders_engine.version import how_to_install

if TYPE_CHECKING:  # commands are imported fast
    from graders_engine.server.routes import Site
    from graders_engine.storage.store import Store

KEY_VARIABLE, ADMIN_KEY_VARIABLE = "GRADERS_API_KEY", "GRADERS_ADMIN_KEY"
DEFAULTS = ServerSettings()


@click.command(
    "serve",
    cls=Command,
    example="graders serve --port 8000\ngraders serve --grader @grader.json",
)
@takes_grader(required=False)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--api-key",
    metavar="KEY",
    envvar=KEY_VARIABLE,
    show_envvar=True,
    help="Key that requests must carry as `Authorization: Bearer KEY`. Prefer the variable: others on this "
    "machine can read a command line.",
)
@click.option(
    "--admin-key",
    metavar="KEY",
    envvar=ADMIN_KEY_VARIABLE,
    show_envvar=True,
    help="Key that requests must carry to share tuned models with other projects. Prefer the variable.",
)
@click.option(
    "--no-auth",
    is_flag=True,
    help="Listen without a key where other machines can connect: all of them can then run code here.",
)
@click.option(
    "--jobs",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep files, evals, runs and fine-tuning jobs in this folder, and serve their routes.",
)
@click.option(
    "--allow-endpoints",
    is_flag=True,
    help="Run endpoint graders, which send rows to any address that a request names.",
)
@click.option(
    "--max-body-bytes",
    metavar="N",
    type=click.IntRange(1),
    default=DEFAULTS.max_body_bytes,
    show_default=True,
    help="Longest body of a request.",
)
@click.option(
    "--max-row-bytes",
    metavar="N",
    type=click.IntRange(1),
    default=DEFAULTS.max_row_bytes,
    show_default=True,
    help="Longest item with its sample, as JSON.",
)
@click.option(
    "--max-queue",
    metavar="N",
    type=click.IntRange(0),
    default=DEFAULTS.max_queue,
    show_default=True,
    help="Requests that may wait for their turn; one more is answered 429.",
)
@click.option(
    "--deadline-s",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    default=DEFAULTS.deadline_s,
    show_default=True,
    help="Time limit for one request; the SDKs give up after 600 s, and retry.",
)
@click.option(
    "--read-timeout-s",
    metavar="S",
    type=click.FloatRange(0, min_open=True),
    default=DEFAULTS.read_timeout_s,
    show_default=True,
    help="Longest time that a client may take to send a request, or to continue reading a response.",
)
@click.option(
    "--log-bodies",
    is_flag=True,
    default=DEFAULTS.log_bodies,
    help="Log requests and responses whole; they hold users' data.",
)
@engine_settings()
def command(
    settings: EngineSettings,
    grader: str | None,
    host: str,
    port: int,
    api_key: str | None,
    admin_key: str | None,
    no_auth: bool,
    jobs: Path | None,
    allow_endpoints: bool,
    **server_settings: Any,
) -> None:
    """Serve the hosted API's grader routes: set an SDK's base_url to http://HOST:PORT/v1.

    /docs describes the routes, /metrics is for Prometheus, /healthz answers while the server is up, and says
    whether the text metrics are compiled. Each request is logged as one line of JSON on standard error.
    SIGTERM stops the server after it has answered all requests that it has accepted.

    With a grader, POST /reward (or the address alone) gives its reward to trainers and evaluation tools, each
    in its own form: OpenRLHF, slime, Azure's endpoint grader, promptfoo's webhook. Where a judge or the
    infrastructure fails, the answer is 503, never a zero.

    With --jobs, files, evals and fine-tuning jobs are served as well, and /view shows the runs of evals: its
    address ends in #key=KEY where there is a key. One server may have the folder at a time. Jobs train the
    models that [base_models] in graders.toml lists, and chat completions ask these and what was trained;
    [projects.NAME] api_key_env gives others a key, files, evals and jobs of their own, and --admin-key
    shares models with them.
    """
    try:
        from graders_engine.server import listener, serving

        if jobs is not None:
            from graders_engine.server.store import opened as _  # noqa: F401 - whether it can be
            from graders_engine.view import app as view
    except ImportError as error:
        raise InvalidRequest(
            f"The server needs packages that are not installed ({error.name}): "
            f"{how_to_install('server')}."
        ) from None
    for name, key in (("API key", api_key), ("admin key", admin_key)):
        if key == "":
            raise InvalidRequest(f"The {name} is empty: pass one, or leave it out.")
    served = None if grader is None else read_flag("grader", grader)
    opened = listener.listen(host, port)
    given = ServerSettings(
        api_key=api_key,
        admin_key=admin_key,
        jobs=jobs,
        **server_settings,
        **_from_config(settings, api_key),
    )
    _require_own_admin_key(given)
    guarded = serving.guarded(given, opened, no_auth=no_auth)
    address = listener.url(opened)
    engine = replace(settings, allow_endpoints=allow_endpoints)

    def announce() -> None:
        with contextlib.suppress(OSError):  # it serves even where nothing can be printed
            click.echo(f"Serving graders on {address} (docs: {address}/docs)")
            if served is not None:
                click.echo(f"Rewards of the grader: POST {address}/reward")
            if jobs is not None:
                click.echo(f"Runs in a browser: {address}/view/")

    def site(store: Store | None) -> Site | None:
        return None if store is None else view.site(view.view_of_store(store, engine), alone=False)

    serving.serve(engine, guarded, opened, announce, served, site=site)


def _require_own_admin_key(settings: ServerSettings) -> None:
    """Refuse an admin key that a project has: the project would be the administrator.

    Raises:
        InvalidRequest: one has it.
    """
    for name, key in (("default", settings.api_key), *settings.projects.items()):
        if key is not None and key == settings.admin_key:
            raise InvalidRequest(
                f"The admin key is that of the project {name} as well: choose another."
            )


def _from_config(settings: EngineSettings, api_key: str | None) -> dict[str, Any]:
    """What graders.toml says of the server.

    Raises:
        InvalidRequest: a project's key is not set, or is another one's, too.
    """
    path = settings.judge_settings().config
    if path is None:
        return {}
    from graders_engine.models.config import read_config

    config = read_config(Path(path))
    mistakes, keys = [], {}
    taken = {api_key: "default"}
    for name, project in config.projects.items():
        key = os.environ.get(project.api_key_env, "")
        if not key:
            mistakes.append(f"the variable {project.api_key_env} is not set, or empty")
        elif key in taken:
            mistakes.append(f"the key in {project.api_key_env} is that of {taken[key]} as well")
        else:
            keys[name], taken[key] = key, name
            continue
        mistakes[-1] = f"{path}: [projects] {name}: {mistakes[-1]}."
    if mistakes:
        raise InvalidRequest("\n".join(mistakes))
    return {
        "projects": keys,
        "max_file_bytes": config.store.max_file_bytes,
        "max_store_bytes": config.store.max_bytes,
    }
