"""`graders image`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from graders_engine.cli.request import read_file
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox import images

CONFIG = Path("graders.toml")
"""Where users define images: a table `[images.NAME]` with `packages`, and `nltk_data`, `pythons`."""


@click.group("image")
def command() -> None:
    """Environments for python graders, picked by their `image_tag`.

    2025-05-08 is the documented set of packages. Others stand in graders.toml in the working folder:

    \b
    [images.mine]
    packages = ["numpy==2.2.4", "my-checker"]
    """  # noqa: D301 - \b is the character by which click keeps lines apart


@command.command("build")
@click.argument("tag")
def build(tag: str) -> None:
    """Make an environment with exactly the packages that TAG stands for; takes minutes."""
    try:
        image = images.build(tag, own=_own(), say=lambda step: click.echo(step, err=True))
    except images.ImageError as error:
        raise InvalidRequest(f"{error}.") from None
    click.echo(f"{image.tag}: Python {image.python} in {image.folder}")


@command.command("list")
def list_() -> None:
    """Show the images that are built, and those that could be."""
    built = {image.tag: image for image in images.built()}
    for tag in dict.fromkeys([*built, *images.DOCUMENTED, *_own()]):
        image = built.get(tag)
        click.echo(
            f"{tag}: Python {image.python} in {image.folder}" if image else f"{tag}: not built"
        )


@command.command("remove")
@click.argument("tag")
def remove(tag: str) -> None:
    """Delete an image that is built."""
    try:
        images.remove(tag)
    except images.ImageError as error:
        raise InvalidRequest(f"{error}.") from None


def _own() -> dict[str, images.Definition]:
    """The images that graders.toml defines.

    Raises:
        InvalidRequest: it is no TOML, or an image in it has other keys than these.
    """
    if not CONFIG.exists():
        return {}
    try:
        tables = tomllib.loads(read_file(CONFIG)).get("images", {})
        return {
            name: images.Definition(**{key: tuple(values) for key, values in table.items()})
            for name, table in tables.items()
        }
    except (tomllib.TOMLDecodeError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            f"{CONFIG}: {error}. An image is a table [images.NAME] with packages, nltk_data, pythons."
        ) from None
