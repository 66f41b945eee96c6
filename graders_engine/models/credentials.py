"""The keys of an endpoint: where they come from, and the headers that send them."""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from graders_engine.errors import InvalidRequest
from graders_engine.models.redaction import read_address

if TYPE_CHECKING:
    from graders_engine.models.endpoint import EndpointSettings

DEFAULT_BASE_URL = "https://api.openai.com/v1"
USUAL_KEY = "OPENAI_API_KEY"
"""The variable of the key for OpenAI, the address in OPENAI_BASE_URL, and addresses that are typed."""
AZURE_HOST = re.compile(r"\.(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)$")
AZURE_PATH = re.compile(r"/openai/deployments/[^/]+$")
_ENTRA_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_PORTS = {"http": 80, "https": 443}
_USUAL_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def takes_usual_key(base_url: str) -> bool:
    """Whether the key in OPENAI_API_KEY belongs to an address: to OpenAI's host, or OPENAI_BASE_URL's."""
    known = (DEFAULT_BASE_URL, os.environ.get("OPENAI_BASE_URL", ""))
    return any(url and same_host(base_url, url) for url in known)


def same_host(one: str, other: str) -> bool:
    """Whether two addresses have one scheme, host and port; False where one cannot be read."""
    try:
        places = [read_address(url) for url in (one, other)]
        hosts = {
            (place.scheme, place.hostname, place.port or _PORTS.get(place.scheme))
            for place in places
        }
    except ValueError:
        return False
    return len(hosts) == 1


def key_origin(settings: EndpointSettings, api_key: str | None) -> str:
    """Where the key came from, as a sentence that repeats none."""
    if api_key:
        return "The key was given as api_key."
    variable = settings.api_key_env
    # Someone may have put the key itself in the place of the variable's name.
    if variable not in os.environ and not _USUAL_VARIABLE.fullmatch(variable):
        variable = "the variable that api_key_env names"
    if key := os.environ.get(settings.api_key_env, "").strip():
        more = ""
        if key[0] in "'\"" or key.lower().startswith("bearer "):
            more = " It must be the key alone, without quotes and without the word Bearer."
        return f"The key came from {variable}.{more}"
    if any(name.lower() in ("authorization", "api-key", "x-api-key") for name in settings.headers):
        return "The key came from `headers` in graders.toml."
    if not settings.api_key_env:
        return (
            "No key was sent: this endpoint of graders.toml has no api_key_env, and OPENAI_API_KEY "
            "goes to OpenAI and to the host in OPENAI_BASE_URL only. Name the variable of its key with "
            'api_key_env = "...".'
        )
    missing = "is empty" if variable in os.environ else "is not set"
    return f"No key was sent: {variable} {missing}."


def basic(user: str) -> dict[str, str]:
    """The header for a user name and a password, as they stand in an address."""
    if not user:
        return {}
    text = unquote(user if ":" in user else f"{user}:")
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def authorisation(settings: EndpointSettings, api_key: str | None) -> dict[str, str]:
    """The header with an endpoint's key; none where there is no key.

    Raises:
        InvalidRequest: the key cannot be sent.
    """
    key = (api_key or os.environ.get(settings.api_key_env, "")).strip()
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"The endpoint's key, in {settings.api_key_env} or given as api_key, cannot be sent: "
            "it has characters that a header cannot hold."
        )
    address = urlsplit(settings.root)
    # A gateway in front of Azure keeps its paths, and the header with them.
    is_azure = AZURE_HOST.search(address.hostname or "") or AZURE_PATH.search(address.path)
    by_address = "api-key" if is_azure and not _ENTRA_TOKEN.fullmatch(key) else "bearer"
    if (settings.auth or by_address) == "api-key":
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}
