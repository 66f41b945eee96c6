"""Where a model is asked: the model map, and the settings of endpoints by name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from graders_engine.errors import BackendFailure, BackendRejected, InvalidRequest
from graders_engine.models.base import ModelBackend, ModelReply, ModelRequest
from graders_engine.models.config import Config
from graders_engine.models.credentials import USUAL_KEY, same_host
from graders_engine.models.endpoint import EndpointSettings
from graders_engine.models.error_body import lacks_model
from graders_engine.models.judges import DEFAULT, JudgeSettings
from graders_engine.models.policies import Policy
from graders_engine.models.redaction import is_plain


@dataclass(frozen=True, slots=True)
class Route:
    """A model's name at an endpoint, and the name of the endpoint."""

    model: str
    endpoint: str


def route_of(model: str, maps: Iterable[Mapping[str, str]]) -> Route:
    """Where a model that a grader names is asked; the first map that has the name, or "*", decides."""
    targets = (each.get(model) or each.get("*") for each in maps)
    target = next(filter(None, targets), model)
    name, at, endpoint = target.rpartition("@")
    # A name may hold an @ itself: what follows it is an endpoint only if the map put it there.
    if not at or target == model:
        return Route(target, DEFAULT)
    return Route(name, endpoint)


class Renamed(Policy):
    """Asks for a model by the name that its endpoint uses.

    Args:
        backend: what it wraps.
        model: the name.
    """

    def __init__(self, backend: ModelBackend, model: str) -> None:
        super().__init__(backend, f"{model}, {backend.signature}")
        self._model = model

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask for that model.

        Raises:
            BackendFailure: there is no answer; where the endpoint lacks the model, it says how to map the
                grader's name to another one.
        """
        asked = request.model
        if asked != self._model:
            request = msgspec.structs.replace(request, model=self._model)
        try:
            return await self.backend.complete(request)
        except BackendFailure as error:
            if not lacks_model(error, self._model):
                raise
            advice = (
                f"Map the name to a model that this endpoint has: --map {asked}=MODEL, "
                f'or [models] "{asked}" = "MODEL@ENDPOINT" in graders.toml.'
            )
            answer = error.answer() | {"cause": "refused"}
            reason = str(error)
            stop = " " if reason.endswith(("?", ".")) else ". "
            raise BackendRejected(f"{reason}{stop}{advice}", **answer) from None


def check_address(model: str, route: Route, settings: JudgeSettings, config: Config) -> None:
    """Check that an address which was given is not passed over for an endpoint that graders.toml names.

    Args:
        model: as the grader names it.
        route: where it is asked.
        settings: what was given besides graders.toml.
        config: graders.toml.

    Raises:
        InvalidRequest: graders.toml maps the model to another address.
    """
    given = settings.endpoints.get(DEFAULT)
    own = settings.models.get(model) or settings.models.get("*")
    if not isinstance(given, str) or own or route.endpoint == DEFAULT:
        return
    defined = config.endpoints.get(route.endpoint)
    if defined and defined.root == EndpointSettings(base_url=given).root:
        return
    raise InvalidRequest(
        f"graders.toml maps '{model}' to '{route.model}@{route.endpoint}', but another address was given "
        "(--base-url). Leave out that address, or say where this model is asked: "
        f"--map {model}={route.model} asks it at the given address, "
        f"--map {model}={route.model}@{route.endpoint} at the endpoint of graders.toml."
    )


def check_endpoints(endpoints: Mapping[str, object]) -> None:
    """Check that what is given as endpoints are addresses and backends, before anything is asked.

    Raises:
        InvalidRequest: one is neither.
    """
    for given in endpoints.values():
        if isinstance(given, str):
            endpoint_settings(DEFAULT, given, Config())
        elif not hasattr(given, "complete"):
            raise InvalidRequest(
                "Judges are an address, a JudgeSettings or an object with the method `complete`, not a "
                f"{type(given).__name__}."
            )


def endpoint_settings(name: str, address: str | None, config: Config) -> EndpointSettings | None:
    """The settings of an endpoint for judges; None where nothing defines it.

    Args:
        name: its name.
        address: overrides the one in graders.toml; another host gets neither the key nor the headers, the
            query or the `extra_body` of the table, which belong to the host that the table names.
        config: graders.toml.

    Raises:
        InvalidRequest: the address cannot be used, or there is none.
    """
    settings = config.endpoints.get(name)
    try:
        if address is not None:
            return _at(address, settings, has_host=name not in config.without_address)
        if name == DEFAULT and (settings is None or name in config.without_address):
            return _from_environment(settings or EndpointSettings())
        if name in config.without_address:
            raise ValueError(
                f"[endpoints.{name}] in graders.toml has no base_url, so nothing says where its models are "
                'asked: add base_url = "https://host/v1"'
            )
        return settings
    except ValueError as error:
        raise InvalidRequest(f"The judges' endpoint: {error}.") from None


def _at(address: str, settings: EndpointSettings | None, *, has_host: bool) -> EndpointSettings:
    """Settings for an address that was typed."""
    if settings is None:
        return EndpointSettings(base_url=address)
    if has_host and not same_host(address, settings.base_url):
        settings = dataclasses.replace(
            settings, api_key_env=USUAL_KEY, auth=None, headers={}, query={}, extra_body={}
        )
    variable = settings.api_key_env or USUAL_KEY
    return dataclasses.replace(settings, base_url=address, api_key_env=variable)


def _from_environment(settings: EndpointSettings) -> EndpointSettings | None:
    """The settings at the address in OPENAI_BASE_URL, or at OpenAI's; None where no key says that it is."""
    if address := os.environ.get("OPENAI_BASE_URL"):
        return dataclasses.replace(settings, base_url=address)
    has_key = os.environ.get(settings.api_key_env) or settings.headers
    return settings if has_key else None


def embedding_settings(
    place: str, given: Mapping[str, str | ModelBackend], config: Config
) -> tuple[str, EndpointSettings]:
    """The name and the settings of an endpoint for embeddings.

    Args:
        place: a name, an address, or nothing: then the default endpoint of graders.toml, the one in
            OPENAI_BASE_URL, or OpenAI's.
        given: endpoints that were given besides graders.toml; the default one is for judges only.
        config: graders.toml.

    Raises:
        InvalidRequest: there is no such endpoint, or the address cannot be used.
    """
    try:
        if not place:
            return DEFAULT, endpoint_settings(DEFAULT, None, config) or EndpointSettings()
        if place in config.endpoints or isinstance(given.get(place), str):
            address = given.get(place)
            found = endpoint_settings(place, address if isinstance(address, str) else None, config)
            return place, found or EndpointSettings()
        if "://" not in place:
            known = ", ".join(sorted(config.endpoints)) or "none"
            raise ValueError(
                f"graders.toml has no endpoint of this name (it has: {known}), and an address "
                "must start with http:// or https://"
            )
        settings = EndpointSettings(base_url=place)
    except ValueError as error:
        raise InvalidRequest(f"The embedding endpoint: {error}.") from None
    for name, defined in config.endpoints.items():
        is_same = defined.address == settings.address and not settings.full_query
        if is_same and name not in config.without_address:
            return name, defined
    return settings.address, settings


def how_to_map(endpoint: str, model: str, known: Iterable[str]) -> str:
    """What to do about a model without an endpoint.

    Args:
        endpoint: the endpoint that the model is mapped to.
        model: the model that a grader names.
        known: names of the endpoints that exist.
    """
    if endpoint != DEFAULT:
        name, which = endpoint, f"the endpoint '{endpoint}', which is"
        if not is_plain(endpoint):  # an address in its place may hold a key
            name, which = "NAME", "an endpoint that is"
        return (
            f"The model '{model}' is mapped to {which} not defined "
            f"(defined: {', '.join(sorted(known)) or 'none'}). Define it in graders.toml: "
            f"[endpoints.{name}] base_url = ..."
        )
    return (
        f"The judge '{model}' has no endpoint. Set OPENAI_BASE_URL (and OPENAI_API_KEY) to an endpoint that "
        "serves this model, pass its address by --base-url (`judges` in the library), or map the name to one "
        f'that it serves: --map {model}=MODEL, or [models] "{model}" = "MODEL@ENDPOINT" in graders.toml.'
    )
