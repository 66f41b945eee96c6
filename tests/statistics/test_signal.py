"""The share of groups with a signal: unbiased, with intervals that cover it, in simulated sets."""

from __future__ import annotations

import numpy as np
import pytest

from graders_engine.statistics.samples import signal

SETS, PROMPTS, GROUP = 600, 50, 8


@pytest.mark.parametrize("samples", [4, 8, 16])
def test_the_signal_of_simulated_sets_is_unbiased_and_covered(samples: int) -> None:
    drawing = np.random.default_rng(samples)
    size = min(GROUP, samples)
    chances = drawing.beta(0.5, 0.5, 1_000_000)
    truth = float(np.mean(1 - chances**size - (1 - chances) ** size))
    prompts = np.repeat(np.arange(PROMPTS), samples)
    shares, covered = [], 0
    for _ in range(SETS):
        solved = drawing.beta(0.5, 0.5, PROMPTS)
        rewards = (drawing.random((PROMPTS, samples)) < solved[:, None]).astype(np.float64).ravel()
        found = signal(rewards, prompts, GROUP)
        assert found is not None
        assert found.share.low is not None
        assert found.share.high is not None
        shares.append(found.share.value)
        covered += found.share.low <= truth <= found.share.high
    # Three standard errors of the mean of so many sets, and of the share of so many intervals.
    assert np.mean(shares) == pytest.approx(truth, abs=0.008)
    assert 0.92 <= covered / SETS <= 0.98
