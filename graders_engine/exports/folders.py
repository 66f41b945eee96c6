"""The files of an export, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.files import require_regular, write_whole
from graders_engine.graders.parse import parse
from graders_engine.version import __version__

GRADER = "grader.json"
PLACEHOLDER = "https://YOUR-HOST/reward"
KEY = "GRADERS_API_KEY"

_AZURE_IMAGE = f"""\
FROM python:3.12-slim
RUN pip install --no-cache-dir "graders-engine[server]=={__version__}"
RUN useradd --create-home grader
USER grader
WORKDIR /home/grader
COPY {GRADER} .
EXPOSE 8000
# The server wants the key in the environment: {KEY}.
CMD ["graders", "serve", "--grader", "@{GRADER}", "--host", "0.0.0.0", "--port", "8000"]
"""
_AZURE_README = f"""\
# A grader as the endpoint grader of Azure's reinforcement fine-tuning

1. Build the image and run it where Azure can reach it over HTTPS. The key is yours to choose; judges want
   theirs, too (OPENAI_API_KEY, or a graders.toml in the image):

       docker build -t grader .
       docker run -e {KEY} -e OPENAI_API_KEY -p 8000:8000 grader

2. In endpoint-grader.json, put the address of `/reward` for `url`, and the key for `${{{KEY}}}`. That JSON is
   the grader of the fine-tuning job.

Python graders run in a sandbox that the kernel enforces: `docker run grader graders sandbox` shows whether
the container's host allows one. Where it allows none, their rows have no reward; `--sandbox none` in the
Dockerfile runs code that you trust without one.

Azure sends the data set's row as `item`, tries again three times after a failure, and then discards the
rollout. The server answers 503 where a judge or the infrastructure fails, and 400 where the row lacks what a
template names; neither is a score.

By Azure's documentation of the preview; the server was tried, and Azure was not.
"""
_LAMBDA_IMAGE = f"""\
FROM public.ecr.aws/lambda/python:3.12
RUN pip install --no-cache-dir "graders-engine=={__version__}"
COPY lambda_function.py {GRADER} ${{LAMBDA_TASK_ROOT}}/
CMD ["lambda_function.lambda_handler"]
"""
_LAMBDA_README = """\
# A grader as the reward function of Amazon Bedrock and SageMaker

Build the image, push it to a registry of your account, and make a Lambda function of it. Its time limit must
be higher than the default of 3 seconds; SageMaker wants "SageMaker" in its name. Judges want their keys in
the function's environment (OPENAI_API_KEY).

Python graders run in a sandbox that the kernel enforces; `graders sandbox` in the image shows whether there
is one. Where there is none, their rows have no reward. Code that you trust may run without one: pass
`sandbox="none"` to GraderReward in lambda_function.py.

By the documentation of Bedrock and SageMaker; the handler was tried, and AWS was not.
"""


def azure_endpoint(grader: Mapping[str, Any], url: str = PLACEHOLDER) -> dict[str, str]:
    """A container that serves the grader, and Azure's endpoint grader that asks it.

    Args:
        grader: the grader.
        url: where the container will be served.

    Returns:
        The files' texts, by name.

    Raises:
        InvalidGrader: the grader or the address has mistakes.
    """
    spec = parse(grader)
    endpoint: dict[str, Any] = {"type": "endpoint", "name": spec.name or "grader", "url": url}
    endpoint["headers"] = {"Authorization": f"Bearer ${{{KEY}}}"}
    if spec.pass_threshold is not None:
        endpoint["pass_threshold"] = spec.pass_threshold
    parse(endpoint)
    return {
        GRADER: _json(grader),
        "endpoint-grader.json": _json(endpoint),
        "Dockerfile": _AZURE_IMAGE,
        "README.md": _AZURE_README,
    }


def bedrock_lambda(grader: Mapping[str, Any]) -> dict[str, str]:
    """A Lambda function that gives the grader's rewards.

    Returns:
        The files' texts, by name.

    Raises:
        InvalidGrader: the grader has mistakes.
    """
    parse(grader)
    handler = Path(__file__).with_name("lambda_function.py").read_text(encoding="utf-8")
    return {
        GRADER: _json(grader),
        "lambda_function.py": handler,
        "Dockerfile": _LAMBDA_IMAGE,
        "README.md": _LAMBDA_README,
    }


def write(folder: Path, files: Mapping[str, str], *, replace: bool = False) -> None:
    """Write the files of an export.

    Args:
        folder: where to; it is made if need be.
        files: their texts, by name.
        replace: whether files that are there may be replaced by others.

    Raises:
        InvalidRequest: there are files with other contents.
        DataSetError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [name for name, text in files.items() if _differs(folder / name, text)]
        if others and not replace:
            raise InvalidRequest(
                f"{folder} has other files of these names: {', '.join(others)}. Name another folder, or "
                "pass --overwrite."
            )
        for name in files:
            require_regular(folder / name, "The export cannot be written")
        for name, text in files.items():
            write_whole(folder / name, text.encode())
    except OSError as error:
        raise DataSetError(f"{folder}: the export cannot be written: {error.strerror}.") from None


def _differs(path: Path, text: str) -> bool:
    """Whether a path is taken by anything but a file with this text."""
    if not path.is_file():
        return path.exists()
    return path.read_bytes() != text.encode()


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
