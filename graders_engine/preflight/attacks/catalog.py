"""All attacks, the cheapest first."""

from __future__ import annotations

from graders_engine.preflight.attacks import (
    code,
    informed,
    judges,
    labels,
    prompt,
    size,
    text,
    tools,
    unicode,
)
from graders_engine.preflight.attacks.attack import Attack

ATTACKS: tuple[Attack, ...] = (
    *text.ATTACKS,
    *prompt.ATTACKS,
    *labels.ATTACKS,
    *tools.ATTACKS,
    *code.ATTACKS,
    *judges.ATTACKS,
    *unicode.ATTACKS,
    *informed.ATTACKS,
    *size.ATTACKS,
)
"""An attack is added in the file of its family."""
BY_NAME: dict[str, Attack] = {attack.name: attack for attack in ATTACKS}
