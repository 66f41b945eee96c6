"""Tool calls that are made whatever the question is."""

from __future__ import annotations

from collections.abc import Mapping

from graders_engine.preflight.attacks.attack import Attack
from graders_engine.preflight.attacks.context import Context, Tool
from graders_engine.preflight.attacks.skeleton import from_schema
from graders_engine.preflight.data_file import TrainingRow
from graders_engine.preflight.references import Sample
from graders_engine.preflight.sample_parts import Call, with_calls


def _all(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    tools = context.tools(row)
    found: dict[str, Sample] = {
        "first tool, no arguments": with_calls([Call(tools[0].name, {})]),
        "first tool, made-up arguments": with_calls([_filled(tools[0])]),
    }
    if len(tools) > 1:
        found["each tool, no arguments"] = with_calls([Call(tool.name, {}) for tool in tools])
        found["each tool, made-up arguments"] = with_calls([_filled(tool) for tool in tools])
    return found


def _filled(tool: Tool) -> Call:
    arguments = from_schema(tool.parameters, "value") if tool.parameters else {"query": "value"}
    return Call(tool.name, arguments or {})


def _text_beside(row: TrainingRow, context: Context) -> Mapping[str, Sample]:
    return {"answer without a call": "Done. I have called the tool."}


ATTACKS = (
    Attack("all-tools", "blind", "a call of a tool whatever the question", _all,
           lambda context: context.reads_tools, framed=False),
    Attack("claimed-call", "free", "a text that claims to have called a tool", _text_beside,
           lambda context: context.reads_tools, framed=False),
)  # fmt: skip
