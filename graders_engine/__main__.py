"""`python -m graders_engine`: the same as the command `graders`."""

from graders_engine.cli.main import main

if __name__ == "__main__":
    main()
