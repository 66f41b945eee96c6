"""`graders image`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from graders_engine.cli.parsing.command import Group
from graders_engine.cli.parsing.input_files import read_file
from graders_engine.cli.terminal.printing import print_lines
from graders_engine.errors import InvalidRequest
from graders_engine.sandbox import images

CONFIG = Path("graders.toml")
"""Users define images here: tables `[images.NAME]` with `packages`, and optionally `nltk_data`, `pythons`."""


@click.group("image", cls=Group, example="graders image build 2025-05-08")
def command() -> None:
    """Manage environments for python graders.

    A grader names its environment in `image_tag`. 2025-05-08 has the packages that the API documents.
    Define others in graders.toml in the working folder:

    \b
    [images.mine]
    packages = ["numpy==2.2.4", "my-checker"]
    """  # noqa: D301 - \b is the character by which click keeps lines apart


@command.command("build", example="graders image build 2025-05-08")
@click.argument("tag")
def build(tag: str) -> None:
    """Build the image TAG: an environment with exactly its packages. Takes minutes."""
    try:
        image = images.build(tag, _custom(), on_step=lambda step: print_lines([step], err=True))
    except images.ImageError as error:
        raise InvalidRequest(f"{error}.") from None
    print_lines(_described(image))


@command.command("list", example="graders image list")
def list_() -> None:
    """Show the images that are built, and those that can be built."""
    built = {image.tag: image for image in images.built()}
    for tag in dict.fromkeys([*built, *images.DOCUMENTED, *_custom()]):
        image = built.get(tag)
        print_lines(_described(image) if image else [f"{tag}: not built"])


def _described(image: images.Image) -> list[str]:
    lines = [f"{image.tag}: Python {image.python} in {image.folder}"]
    if image.missing_data:
        lines.append(
            f"  without NLTK data: {', '.join(image.missing_data)} (build it again to retry)"
        )
    return lines


@command.command("remove", example="graders image remove mine")
@click.argument("tag")
def remove(tag: str) -> None:
    """Delete the image TAG."""
    try:
        images.remove(tag)
    except images.ImageError as error:
        raise InvalidRequest(f"{error}.") from None


def _custom() -> dict[str, images.Definition]:
    """The images that graders.toml defines.

    Raises:
        InvalidRequest: it is not TOML, or an image in it has an unknown key.
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
