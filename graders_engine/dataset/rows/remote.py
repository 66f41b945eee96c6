"""Files at URLs, through fsspec: `s3://`, `gs://`, `https://` and the like.

This is the one place where errors of fsspec, and of the packages that it uses, become ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from graders_engine.errors import DataSetError, InvalidRequest
from graders_engine.models.redaction import Secrets
from graders_engine.urls import Url
from graders_engine.version import how_to_install

_FACTS = (
    "ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "generation", "VersionId",
    "LastModified", "last_modified", "Last-Modified", "updated", "mtime", "modified", "created",
)  # fmt: skip
"""What file systems say of a file that is another one after each write."""
_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
    "abfss": "adlfs", "hf": "huggingface_hub", "sftp": "paramiko", "ssh": "paramiko",
}  # fmt: skip
"""By scheme, the package that fsspec needs, where that is not fsspec itself."""
_PART_BYTES = 8 << 20
_PARTS = 4
"""Parts of an object that are held at once, both ways: by default, s3fs would hold 500 MB."""
_MAX_PARTS = 10_000
"""Parts that S3 accepts of an object."""
_WAIT_S = 120
"""Seconds without a byte after which a server is gone; a whole file may take as long as it takes."""
_NO_CREDENTIALS = frozenset(
    ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError")
)
"""Names of the errors of botocore and google.auth where there are no credentials, or not all of them."""
_S3 = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile of ~/.aws/credentials or "
    "~/.aws/config; AWS_ENDPOINT_URL names a store that is not Amazon's."
)
_GOOGLE = "Set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run gcloud auth application-default login."
_AZURE = "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_CONNECTION_STRING."
_HTTP = "Name them in the URL, as USER:PASSWORD@HOST, or in ~/.netrc."
_CREDENTIALS = {
    "s3": _S3, "s3a": _S3, "gs": _GOOGLE, "gcs": _GOOGLE, "az": _AZURE, "abfs": _AZURE, "abfss": _AZURE,
    "http": _HTTP, "https": _HTTP, "hf": "Set HF_TOKEN.",
}  # fmt: skip
"""By scheme, where the package for it looks for credentials."""
_DENIED = frozenset((401, 403, "401", "403", "AccessDenied", "Forbidden"))
_MISSING = frozenset((404, 410, "404", "NoSuchBucket", "NoSuchKey"))
"""What answers say, in numbers of HTTP or words of S3."""
_WITHOUT_FILE = frozenset((202, 204, 205, 206))
"""Answers of HTTP that are no errors, and yet not what was asked for."""
_REDIRECTS = {
    "TooManyRedirects": "it is redirected again and again",
    "InvalidURL": "it is redirected to what is no URL",
    "NonHttpUrlClientError": "it is redirected to what is not at http:// or https://",
}
"""By the name of an error of aiohttp; what that says itself has the target, with its secrets."""
_WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"))
"""Stores in which an object is there when all of it is."""
_READ_ONLY = frozenset(("http", "https", "data", "github", "zip", "tar", "git", "reference"))
_WRAPPERS = frozenset(
    (
        "simplecache",
        "filecache",
        "cached",
        "blockcache",
        "dir",
        "generic",
        "reference",
        "asyncwrapper",
    )
)
"""What fsspec puts around another place; on its own it is none, and what is written there is nowhere."""
_UPLOADING = ".graders.tmp"
_COPY_LATER = "Name a file here, and copy it when the run is done."
MAX_REASON_CHARS = 300

Verb = Literal["read", "written"]
"""What is done with a file, in the sentences that say that it cannot be."""


class Found(NamedTuple):
    """What a file system says of a file.

    Attributes:
        size: its bytes; None if that is not known.
        facts: what is another after a write to it, by name; empty if nothing is known.
    """

    size: int | None
    facts: Mapping[str, str]


class RemoteFile:
    """A file at a URL; nothing is asked of the network before a method is called.

    ::

        file = RemoteFile(Url("s3://bucket/rows.jsonl"))
        file.found().size
        file.fetch(Path("rows.jsonl"))

    Args:
        url: where it is. Credentials are those of the environment, as the package for the scheme finds
            them, or of the URL.
        verb: what it is for.

    Raises:
        DataSetError: fsspec, or its package for the scheme, is not installed.
        InvalidRequest: the scheme is unknown.
    """

    def __init__(self, url: Url, verb: Verb = "read") -> None:
        self.url, self._verb = url, verb
        self._files, self._path = _opened(url, verb)

    def found(self) -> Found:
        """What is there now.

        Raises:
            DataSetError: nothing, a folder, or nobody answers; the sentence says which.
        """
        with reported(self.url, self._verb):
            self._files.invalidate_cache()  # what another process wrote is not in it
            info = self._files.info(self._path)
        if info.get("type") == "directory":
            raise DataSetError(f"{self.url} is a folder: name a file in it.")
        facts = {key: str(info[key]) for key in _FACTS if info.get(key) is not None}
        return Found(info.get("size"), facts)

    def fetch(self, to: Path) -> Found:
        """Write the whole file to one of this machine; returns what was said of it.

        Raises:
            DataSetError: it cannot be read to its end, or changed meanwhile; what was written is no copy.
        """
        before = self.found()
        with reported(self.url, "read"):
            self._files.get_file(self._path, str(to))
        got, after = to.stat().st_size, self.found()
        if before != after:
            raise DataSetError(
                f"{self.url} changed while it was being read: run the command again when it is whole."
            )
        if before.size is not None and got != before.size:
            raise DataSetError(
                f"{self.url} cannot be read: the connection ended after {got:,} of {before.size:,} bytes. "
                "Run the command again."
            )
        return before

    def require_writable_scheme(self) -> None:
        """Check that what is at such URLs can be written at all.

        Raises:
            InvalidRequest: it can only be read.
        """
        if self.url.scheme in _READ_ONLY:
            raise InvalidRequest(
                f"What is at {self.url.scheme}:// can be read, but not written. {_COPY_LATER}"
            )

    def put(self, source: Path) -> None:
        """Make a file of this machine the one at the URL; it is there whole, or as it was before.

        Raises:
            DataSetError: it cannot be written.
        """
        whole = self.url.scheme in _WHOLE
        to = self._path if whole else f"{self._path}{_UPLOADING}"
        parts: dict[str, int] = {}
        if self.url.scheme in ("s3", "s3a"):
            parts["chunksize"] = max(_PART_BYTES, source.stat().st_size // _MAX_PARTS + 1)
        with reported(self.url, "written"):
            self._files.put_file(str(source), to, **parts)
            if not whole:
                self._files.mv(to, self._path)

    def require_writable(self) -> None:
        """Check, before anything is computed, that a file can be written there: an empty one, beside it.

        Raises:
            DataSetError: it cannot.
        """
        beside = f"{self._path}{_UPLOADING}"
        with reported(self.url, "written"):
            self._files.pipe_file(beside, b"")
        # Where one may write, but not remove, an empty object stays.
        with suppress(Exception):  # each package has its own errors, and none matters here
            self._files.rm_file(beside)


class Missing(DataSetError):
    """Raised where there is no such file, or no such bucket."""


def _opened(url: Url, verb: Verb) -> tuple[Any, str]:
    is_read = verb == "read"
    try:
        fsspec = import_module("fsspec")
    except ImportError:
        raise DataSetError(
            f"{url} is not a file of this machine: to {'read' if is_read else 'write'} it, "
            f"{how_to_install('remote')}."
        ) from None
    if url.scheme in _WRAPPERS or url.scheme not in fsspec.available_protocols():
        raise InvalidRequest(
            f"{url}: there is no way to read '{url.scheme}://'. Copy the file to this machine, or pass - and "
            "write it to standard input."
            if is_read
            else f"{url}: there is no way to write to '{url.scheme}://'. {_COPY_LATER}"
        )
    with reported(url, verb):
        files, path = fsspec.core.url_to_fs(url.given, **_options(url.scheme))
    return files, path


def _options(scheme: str) -> dict[str, Any]:
    if scheme in ("http", "https"):
        from aiohttp import ClientTimeout

        # By default, a file that takes longer than five minutes would be cut off.
        timeout = ClientTimeout(total=None, sock_connect=_WAIT_S, sock_read=_WAIT_S)
        return {
            "client_kwargs": {
                "timeout": timeout,
                "trust_env": True,
                "raise_for_status": _require_whole,
            },
            "headers": {"Accept-Encoding": "identity"},
        }
    if scheme in ("s3", "s3a"):
        return {"default_block_size": _PART_BYTES, "max_concurrency": _PARTS}
    return {}


async def _require_whole(answer: Any) -> None:
    """Check that an answer over HTTP has the file; fsspec itself looks at what says that there is none."""
    if answer.status in _WITHOUT_FILE:
        raise ValueError(f"the server answers {answer.status}, which is not the whole file")


@contextmanager
def reported(url: Url, verb: Verb) -> Iterator[None]:
    """Make one sentence of any error within it.

    Args:
        url: of the file.
        verb: what is done with it.

    Raises:
        DataSetError: instead of the error.
    """
    try:
        yield
    except ImportError:
        package = _PACKAGES.get(url.scheme, "what fsspec needs for it")
        raise DataSetError(
            f"{url} cannot be {verb}: {url.scheme}:// needs a package of its own: pip install {package}"
        ) from None
    except Exception as error:  # noqa: BLE001 - each package of fsspec has its own errors
        raise _sentence(url, verb, error) from None


def _sentence(url: Url, verb: Verb, error: Exception) -> DataSetError:
    # fsspec says of any failure over HTTP that there is no such file; the cause says more.
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception):
        error = cause
    status = _status(error)
    if status in _MISSING or (isinstance(error, FileNotFoundError) and status is None):
        what = "file" if url.scheme in ("http", "https") else "object, or no such bucket"
        what = "bucket, or no such folder" if verb == "written" else what
        return Missing(f"{url} cannot be {verb}: there is no such {what}.")
    if status in _DENIED or isinstance(error, PermissionError):
        return DataSetError(
            f"{url} cannot be {verb}: access is denied ({_reason(url, error)}). {_advice(url)}"
        )
    if _NO_CREDENTIALS.intersection(of.__name__ for of in type(error).__mro__):
        return DataSetError(
            f"{url} cannot be {verb}: there are no credentials ({_reason(url, error)}). {_advice(url)}"
        )
    return DataSetError(f"{url} cannot be {verb}: {_reason(url, error)}.")


def _advice(url: Url) -> str:
    """Where credentials are looked for."""
    usual = "Credentials are looked for where the command line of the service does."
    return _CREDENTIALS.get(url.scheme, usual)


def _status(error: Exception) -> Any:
    """What the server answered: the status of HTTP, or the word of S3; None if it gave no answer."""
    answer = getattr(error, "response", None)  # of botocore
    if isinstance(answer, Mapping):
        return answer.get("Error", {}).get("Code")
    return getattr(error, "status", None)


def _reason(url: Url, error: Exception) -> str:
    """What an error says, on one line, without secrets."""
    status, message = getattr(error, "status", None), getattr(error, "message", "")
    redirects = [_REDIRECTS[of.__name__] for of in type(error).__mro__ if of.__name__ in _REDIRECTS]
    if redirects:
        text = redirects[0]
    elif isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        text = "the server does not answer"
    elif status is not None:
        text = f"{status} {message}".strip()
    elif isinstance(error, OSError) and error.strerror and error.errno:
        text = error.strerror
    else:
        text = str(error) or type(error).__name__
    secrets = Secrets()
    for secret in url.secrets:
        secrets.add(secret)
    text = secrets.mask_text(url.without_secrets(" ".join(text.split())))
    return text[:MAX_REASON_CHARS].rstrip(".")
