"""The command `graders`, also as `python -m graders_engine`."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line; the collector rests until the command is imported (see `cli.failing`)."""
    gc.disable()
    from graders_engine.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
