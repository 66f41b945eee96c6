"""A resources server of NeMo Gym, which trains with NeMo-RL.

In the server's `app.py`::

    from graders_engine.adapters.nemo_gym import GraderResourcesServer
    GraderResourcesServer.run_webserver()

and in its configuration, where `grader.json` is a string_check of the output and `{{item.answer}}`::

    capitals: {resources_servers: {capitals: {entrypoint: app.py, domain: other, grader: grader.json}}}

The item is the data row's own fields. An outage masks the sample, with its kind and reason. Run with
nemo-gym 0.7.
"""

from __future__ import annotations

from typing import Any

from nemo_gym import base_resources_server as base
from pydantic import Field, PrivateAttr

from graders_engine.adapters.outputs import fields_for_nemo_gym
from graders_engine.adapters.reward import GraderReward


class GraderConfig(base.BaseResourcesServerConfig):
    """The server's configuration: `grader` as for GraderReward, and its `settings`."""

    grader: Any
    settings: dict[str, Any] = Field(default_factory=dict)


class GraderVerifyRequest(base.BaseVerifyRequest, extra="allow"):  # type: ignore[call-arg] # pydantic's
    """A response to verify, with the data row's own fields."""


class GraderVerifyResponse(base.BaseMultiRewardVerifyResponse, extra="allow"):  # type: ignore[call-arg] # the same
    """The reward; a multi's parts in `reward_components` and, for metrics, on top (`NAME/PART` if taken)."""


class GraderResourcesServer(base.SimpleResourcesServer):
    """A server whose `/verify` grades."""

    ray_enabled = False  # else it starts a Ray cluster, which it does not use
    config: GraderConfig
    _reward: GraderReward = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check the grader before the server starts."""
        super().model_post_init(context)
        self._reward = GraderReward(self.config.grader, **self.config.settings)

    async def verify(self, body: GraderVerifyRequest) -> GraderVerifyResponse:
        """Grade a response."""
        reward, given = self._reward, body.model_dump()
        row = await reward.agrade(body.response.model_dump(), body.model_extra)
        taken = given.keys() | GraderVerifyResponse.model_fields.keys()
        return GraderVerifyResponse(**given | fields_for_nemo_gym(reward, row, taken))
