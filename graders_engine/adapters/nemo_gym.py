"""A resources server of NeMo Gym, which trains with NeMo-RL.

In the server's `app.py`::

    from graders_engine.adapters.nemo_gym import GraderResourcesServer

    GraderResourcesServer.run_webserver()

and in its configuration, `grader: /data/grader.json`. The item is the data row's own fields. An outage masks
the sample, with its kind and reason. Run with nemo-gym 0.7.
"""

from __future__ import annotations

import math
from typing import Any

from nemo_gym.base_resources_server import (
    BaseMultiRewardVerifyResponse,
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    SimpleResourcesServer,
)
from pydantic import ConfigDict, Field, PrivateAttr

from graders_engine.adapters.reward import STATUSES, GraderReward


class GraderConfig(BaseResourcesServerConfig):
    """The server's configuration: `grader` as for GraderReward, and its `settings`."""

    grader: Any
    settings: dict[str, Any] = Field(default_factory=dict)


class GraderVerifyRequest(BaseVerifyRequest):
    """A response to verify, with the data row's own fields."""

    model_config = ConfigDict(extra="allow")


class GraderVerifyResponse(BaseMultiRewardVerifyResponse):
    """The reward, with a multi's parts in `reward_components` and on top, where metrics read them."""

    model_config = ConfigDict(extra="allow")


class GraderResourcesServer(SimpleResourcesServer):
    """A server whose `/verify` grades."""

    config: GraderConfig
    _reward: GraderReward = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Check the grader before the server starts."""
        super().model_post_init(context)
        self._reward = GraderReward(self.config.grader, **self.config.settings)

    async def verify(self, body: GraderVerifyRequest) -> GraderVerifyResponse:
        """Grade a response."""
        row = await self._reward.agrade(body.response.model_dump(), body.model_extra)
        value, numbers = self._reward.value(row), self._reward.numbers(row)
        given: dict[str, Any] = {
            "reward": 0.0 if value is None else value,
            "mask_sample": value is None,
        }
        if value is None:
            given["failure_kind"] = "judge_failed" if row.blame == "judge" else "verifier_error"
            given["failure_reason"] = "\n".join(row.flags.values())
        parts = {
            key: 0.0 if math.isnan(numbers[key]) else numbers[key] for key in self._reward.keys
        }
        shares = {f"{self._reward.name}/{status}": numbers[status] for status in STATUSES}
        return GraderVerifyResponse(
            **{**body.model_dump(), **parts, **shares, **given}, reward_components=parts
        )
