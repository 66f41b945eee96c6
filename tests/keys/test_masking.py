"""A key is taken out of a text whatever it looks like, and whatever stands around it."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

import pytest

from graders_engine.models.redaction import Secrets, Unmaskable
from tests.keys.echoes import FORMS


def keys(*texts: str) -> Secrets:
    secrets = Secrets()
    for text in texts:
        secrets.add(text)
    return secrets


def joined(parts: Iterable[str]) -> str:
    return "".join(parts)


LIKE_ESCAPES = (
    "pa&lt99xYz12", "pa&copy99xY12", "pa&notit99", "&reg-key-1234", "&#99key1234", "a&amp;b-key-99",
    "a1b2c3d4e5f6", "x41-Secr3t99", "41-Secr3t99", "u0041-Secr3t9", "nina-Secr3t99", "back\\nina-99x",
    "%41%42abc9xy", "%2525ab12cdef9", "ab\\u0041cd99", "ab\\x41cd99", "key\\t99\\f99",
)  # fmt: skip
AROUND = (
    "{}", "{};", "bad; {}", "100%{}", "100%25{}", "DOMAIN\\{}", "DOMAIN\\\\{}", "\\x{}", "\\u00{}", "\\u{}",
    "&#{};", "&{};", "%{}%41&lt;\\u0041\\x41", "{}%", "{}\\", "\\n{}\\n", "&amp;{}&amp;",
)  # fmt: skip


@pytest.mark.parametrize("key", LIKE_ESCAPES)
@pytest.mark.parametrize("around", AROUND)
def test_a_key_that_looks_like_an_escape_is_taken_out_wherever_it_stands(
    key: str, around: str
) -> None:
    for text in (around.format(key), around.format(key).upper(), json.dumps(around.format(key))):
        masked = keys(key).mask(text.encode()).decode()
        assert "***" in masked
        assert key.lower() not in masked.lower()
        assert json.dumps(key)[1:-1].lower() not in masked.lower()


@pytest.mark.parametrize("key", LIKE_ESCAPES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_its_forms_are_masked_as_those_of_any_key(key: str, form: Callable[[str], str]) -> None:
    masked = keys(key).mask_text(f"bad {form(key)};")
    assert "***" in masked
    assert form(key) not in masked


NOT_ASCII = (
    "pässw0rd-x9",
    "пиль-Жизнь-9я",
    "秘密のパスワード-9a",
    "key-😀-9x7",
    "naïve-Ñandú-ÿ-7",
)


def units(key: str) -> str:
    """Each character as JSON escapes, of which some need two."""
    numbers = key.encode("utf-16-be").hex(" ", 2).split()
    return joined(f"\\u{number}" for number in numbers)


WIDE_FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "with the other case of each letter": str.swapcase,
    "as a JSON string": json.dumps,
    "as a JSON string in a JSON string": lambda key: json.dumps(json.dumps(key)),
    "with all its characters in JSON escapes": units,
    "with all its characters in JSON escapes, in capitals": lambda key: (
        units(key).upper().replace("U", "u")
    ),
    "as Python writes it": ascii,
    "as bytes that Python writes": lambda key: str(key.encode()),
    "in the escapes of an address": quote,
    "twice in the escapes of an address": lambda key: quote(quote(key)),
    "in numbers of HTML": lambda key: key.encode("ascii", "xmlcharrefreplace").decode(),
    "in hexadecimal numbers of HTML": lambda key: joined(f"&#x{ord(char):04X};" for char in key),
    "in names of HTML": lambda key: key.replace("ä", "&auml;").replace("ï", "&iuml;"),
    "read as Latin-1": lambda key: key.encode().decode("latin-1"),
    "read as Latin-1, as a JSON string": lambda key: json.dumps(key.encode().decode("latin-1")),
    "in base64": lambda key: base64.b64encode(key.encode()).decode(),
    "in hexadecimal": lambda key: key.encode().hex(),
    "in pieces": lambda key: f"{key[:3]} {key[3:5]}\\n{key[5:]}",
}


@pytest.mark.parametrize("key", NOT_ASCII)
@pytest.mark.parametrize("form", WIDE_FORMS.values(), ids=WIDE_FORMS)
def test_a_key_with_other_letters_than_those_of_ascii_is_masked_in_all_forms(
    key: str, form: Callable[[str], str]
) -> None:
    text = f"bad «{form(key)}»; 100%"
    masked = keys(key).mask(text.encode()).decode()
    quotes = r"""[\\"']*"""  # and what base64 ends with, which says less than a character
    assert re.fullmatch(rf"bad «b?{quotes}\*\*\*(\w?=*|{quotes})»; 100%", masked)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "utf-32-le"])
def test_another_encoding_hides_no_such_key(encoding: str) -> None:
    for key in NOT_ASCII:
        text = json.dumps({"error": f"no: {key}"}, ensure_ascii=False).encode(encoding, "ignore")
        if key in text.decode(encoding):
            assert keys(key).mask(text).endswith(b'no: ***"}')


def test_a_password_of_an_address_is_masked_as_json_writes_it() -> None:
    secrets = Secrets()
    secrets.add_address("http://bob:p%C3%A4ssw0rd-x9@h/v1")
    assert secrets.mask(json.dumps({"e": "no: pässw0rd-x9"}).encode()) == b'{"e": "no: ***"}'


@pytest.mark.parametrize(
    "number", ["1" * 5_000, "x" + "1" * 5_000, "0" * 5_000 + "65", "99999999", "x110000", "xD800", "0"]
)  # fmt: skip
def test_a_number_of_html_that_is_no_character_is_left_as_it_is(number: str) -> None:
    text = f"x&#{number}; y".encode()
    for key in ("sk-Secr3tKey9876", NOT_ASCII[1]):
        assert keys(key).mask(text) == text
        assert keys(key).mask(text + key.encode()) == text + b"***"


@pytest.mark.parametrize(
    "text", [b"\\ud800", b"\\ud800\\u0041", b"\\udc00", b"\\U0001f60", b"\xff\xc3"]
)
def test_half_a_character_is_left_as_it_is(text: bytes) -> None:
    for key in NOT_ASCII:
        assert keys(key).mask(text) == text
        assert keys(key).mask(text + b" " + key.encode()) == text + b" ***"


HONEST = (
    {"text": "50%a1 of a&lt;b, DOMAIN\\x41, Grüße, 秘密 😀 \\u00e4 &auml; ÄÖÜ", "result": 0.25},
    {"url": "https://h/?a=1&lt=2&copy=3%20x", "text": html.escape("<a href='&'>пароль</a>")},
)


@pytest.mark.parametrize("answer", HONEST)
@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_an_honest_answer_stays_as_it_is(answer: object, ensure_ascii: bool) -> None:
    text = json.dumps(answer, ensure_ascii=ensure_ascii).encode()
    assert keys(*LIKE_ESCAPES, *NOT_ASCII).mask(text) == text


def test_the_longer_of_two_keys_is_taken_out_whole() -> None:
    masked = keys("s3cretPW", "user:s3cretPW", "key-s3cretPW-x").mask_text(
        "user:s3cretPW user%3As3cretPW key\\u002ds3cretPW-x s3cretPW"
    )
    assert masked == "*** *** *** ***"


def test_a_key_in_a_mixture_of_encodings_is_not_let_through() -> None:
    for key in NOT_ASCII:
        with pytest.raises(Unmaskable):
            keys(key).mask(units(quote(key, safe="")).encode())


@pytest.mark.parametrize("length", [164, 1_500])
def test_a_long_key_is_masked_in_its_forms(length: int) -> None:
    key = joined(f"{number:x}Zq-" for number in range(length))[:length]
    for form in (str, json.dumps, units, quote, lambda text: text.encode().hex()):
        masked = keys(key).mask_text(f"no: {form(key)}")
        assert masked in ("no: ***", 'no: "***"')


@pytest.mark.parametrize("other", ["䀀", "ã", "Ã", "é"])
@pytest.mark.parametrize("key", ["ssw0rd-x9ä", "£9secret£", "¤Ä¤secret9Ã"])
def test_a_character_that_shares_a_byte_with_one_of_the_key_is_not_cut(
    key: str, other: str
) -> None:
    for text in (f"{other}{key[1:]}", f"{key[:-1]}{other}"):
        assert keys(key).mask_text(text) in (text, "***")
        assert "***" in keys(key).mask_text(f"{text} {key}")


@pytest.mark.parametrize("letters", ["ǰ", "ß", "ŉ", "İ", "ΑΣ", "ﬁ", "µ"])
def test_letters_with_unusual_capitals_hide_no_key(letters: str) -> None:
    key = f"key-{letters}-x9z1"
    for form in (str, str.upper, str.lower, json.dumps):
        masked = keys(key).mask_text(f"no: {form(key)}")
        assert "***" in masked
        assert form(key) not in masked
