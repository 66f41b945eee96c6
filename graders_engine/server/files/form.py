"""Reads a multipart form piece by piece: short fields, and one file that is never in memory as a whole."""

from __future__ import annotations

import logging
import re
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from graders_engine.errors import Mistake
from graders_engine.graders import mistakes
from graders_engine.server.files.wire import PURPOSES
from graders_engine.server.responses import Refused
from graders_engine.server.store.query import number_of

FILE = "file"
PURPOSE = "purpose"
EXPIRY = "expires_after"
ANCHOR, SECONDS = f"{EXPIRY}[anchor]", f"{EXPIRY}[seconds]"
FIELDS = (FILE, PURPOSE, ANCHOR, SECONDS)
LEAST_EXPIRY_S, MOST_EXPIRY_S = 3600, 2_592_000
"""A file may go after an hour to 30 days."""
MAX_HEADER_BYTES = 16 << 10
"""Longest headers of one part."""
MAX_FIELD_BYTES = 1 << 10
"""Longest field that is no file."""

# It would write what users sent to standard error.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class UploadForm:
    """The form of an upload, while it comes.

    Args:
        content_type: the request's; it names what divides the parts.
        max_file_bytes: longest file.

    Attributes:
        fields: what has come of those that are no file.
        file_name: the file's; None before it has begun.
        file_bytes: the file's length so far.

    Raises:
        Refused: the type is another one.
    """

    def __init__(self, content_type: bytes, max_file_bytes: int) -> None:
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data":
            message = "The body must be a form: send it with `Content-Type: multipart/form-data`."
            raise Refused(415, Mistake(message, code="unsupported_media_type"))
        self._max_file_bytes = max_file_bytes
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.file_bytes = 0
        self._pieces: list[bytes] = []
        self._ended = False
        self._name = ""
        self._is_file = False
        self._header, self._value, self._disposition = b"", b"", b""
        self._header_bytes = 0
        self._text = b""
        try:
            self._parser = MultipartParser(
                options.get(b"boundary") or _no_boundary(),
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_header_name,
                    "on_header_value": self._add_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._add_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _malformed(str(error)) from None

    @property
    def waiting_bytes(self) -> int:
        """How much of the file waits for `take`."""
        return sum(map(len, self._pieces))

    def take(self) -> list[bytes]:
        """What has come of the file since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def feed(self, chunk: bytes) -> None:
        """Read the next piece of the body.

        Raises:
            Refused: it is no such form, or one of its values is wrong.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(str(error)) from None

    def finish(self) -> tuple[str, str, int | None]:
        """Check what needs the whole form.

        Returns:
            The file's name, its purpose, and after how many seconds it goes, if it does.

        Raises:
            Refused: something is missing.
        """
        if not self._ended:
            raise _malformed("it ends before its last boundary")
        if self.file_name is None:
            raise Refused(400, mistakes.missing(FILE))
        for name, needed in (
            (PURPOSE, True),
            (ANCHOR, SECONDS in self.fields),
            (SECONDS, ANCHOR in self.fields),
        ):
            if needed and name not in self.fields:
                raise Refused(400, mistakes.missing(name))
        seconds = number_of(self.fields, SECONDS, LEAST_EXPIRY_S, MOST_EXPIRY_S)
        return self.file_name, self.fields[PURPOSE], seconds

    def _begin_part(self) -> None:
        self._disposition, self._text, self._header_bytes = b"", b"", 0

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise _malformed(f"the headers of a part are longer than {MAX_HEADER_BYTES} bytes")

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        elif (
            self._header.lower() == b"content-transfer-encoding"
            and self._value.lower() not in _PLAIN
        ):
            raise _malformed("a part has a `Content-Transfer-Encoding`, which is not read")
        self._header = self._value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no `Content-Disposition: form-data; name=...`")
        self._name = options[b"name"].decode("utf-8", "replace")
        file_name = options.get(b"filename")
        if file_name is None:
            file_name = _extended_name(self._disposition)
        self._is_file = file_name is not None
        if self._name not in FIELDS:
            raise Refused(400, _unknown(self._name[:100]))
        if self._is_file != (self._name == FILE):
            expected = "a file" if self._name == FILE else "a text"
            got = "a file" if self._is_file else "a text"
            message = (
                f"Invalid type for '{self._name}': expected {expected}, but got {got} instead."
            )
            raise Refused(400, Mistake(message, self._name, "invalid_type"))
        if file_name is None:
            if self._name in self.fields:
                raise _twice(self._name)
            return
        if self.file_name is not None:
            raise _twice(FILE)
        if not file_name:
            raise Refused(400, mistakes.missing(FILE))  # a browser's form without a chosen file
        self.file_name = _CONTROL.sub("_", file_name.decode("utf-8", "replace"))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._text += data[start:end]
            if len(self._text) > MAX_FIELD_BYTES:
                message = f"Invalid '{self._name}': it is longer than {MAX_FIELD_BYTES} bytes."
                raise Refused(400, Mistake(message, self._name, "invalid_value"))
            return
        self.file_bytes += end - start
        if self.file_bytes > self._max_file_bytes:
            raise too_large(self._max_file_bytes)
        self._pieces.append(data[start:end])

    def _end_part(self) -> None:
        if self._is_file:
            return
        text = self.fields[self._name] = self._text.decode("utf-8", "replace")
        if self._name == PURPOSE and text not in PURPOSES:
            raise Refused(400, mistakes.unsupported(PURPOSE, text, PURPOSES))
        if self._name == ANCHOR and text != "created_at":
            raise Refused(400, mistakes.unsupported(ANCHOR, text, ("created_at",)))
        number_of(self.fields, SECONDS, LEAST_EXPIRY_S, MOST_EXPIRY_S)

    def _end(self) -> None:
        self._ended = True


def _extended_name(disposition: bytes) -> bytes | None:
    """The name of a file in the form of RFC 5987, `filename*=UTF-8''a%20b`; None without one.

    RFC 7578 wants none in forms, so a plain `filename` beside it counts, as for python-multipart.

    Raises:
        Refused: it is in an unknown charset, or in parts.
    """
    for key, value in _PARAMETER.findall(disposition):
        if key.lower().startswith((b"filename*0", b"filename*1")):
            raise _unread_name("it is in parts, as `filename*0`")
        charset, *rest = value.strip(b'" \t').split(b"'", 2)
        if key.lower() == b"filename*" and len(rest) == _AFTER_CHARSET:
            if charset.lower() not in _CHARSETS:
                raise _unread_name(f"its charset is {charset[:40].decode('ascii', 'replace')}")
            name = unquote_to_bytes(rest[-1])
            return name.decode("latin-1").encode() if charset.lower() == b"iso-8859-1" else name
    return None


def _unread_name(reason: str) -> Refused:
    message = f"Invalid 'file': its name cannot be read: {reason}. Send it as `filename`, in UTF-8."
    return Refused(400, Mistake(message, FILE, "invalid_value"))


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What no file's name has: a download could not be kept under it."""
_CHARSETS = (b"utf-8", b"utf8", b"us-ascii", b"iso-8859-1")
_PARAMETER = re.compile(rb';[ \t]*([^=;" \t]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;"]*)')
_AFTER_CHARSET = 2  # its language, and the name
_PLAIN = (b"7bit", b"8bit", b"binary")


def too_large(max_bytes: int) -> Refused:
    """The answer to a file that is too long."""
    message = (
        f"Invalid 'file': it is longer than {max_bytes} bytes, the most that this server takes."
    )
    return Refused(413, Mistake(message, FILE, "file_too_large"))


def _unknown(name: str) -> Mistake:
    """The mistake in a field that no form has, such as `purpose[]` of a list or `expires_after` of a text."""
    outer, _, inner = name.partition("[")
    if inner and outer in (FILE, PURPOSE):
        expected, got = "a file" if outer == FILE else "a text", "several values"
    elif name == EXPIRY:
        expected, got = f"'{ANCHOR}' and '{SECONDS}'", "one value"
    else:
        return mistakes.unknown(name, name, FIELDS)
    message = f"Invalid type for '{outer}': expected {expected}, but got {got} instead."
    return Mistake(message, outer, "invalid_type")


def _twice(name: str) -> Refused:
    what = "a form has one file" if name == FILE else "it is there twice"
    return Refused(400, Mistake(f"Invalid '{name}': {what}.", name, "invalid_value"))


def _no_boundary() -> bytes:
    raise _malformed("the `Content-Type` names no boundary")


def _malformed(reason: str) -> Refused:
    message = f"The body is no multipart form that can be read: {reason}."
    return Refused(400, Mistake(message, code="invalid_multipart"))
