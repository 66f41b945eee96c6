"""The command `graders`, also as `python -m graders_engine`."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command line; no garbage is collected until the command is imported."""
    gc.disable()
    from graders_engine.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
