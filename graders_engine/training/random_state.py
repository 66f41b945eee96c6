"""The state of all random numbers that training draws."""

from __future__ import annotations

import random
from typing import Any


def random_state() -> tuple[Any, ...]:
    """The state as it is now: of Python, numpy, torch and its GPUs."""
    import numpy as np
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda


def set_random_state(state: tuple[Any, ...]) -> None:
    """Bring back what `random_state` gave."""
    import numpy as np
    import torch

    of_python, of_numpy, of_torch, of_cuda = state
    random.setstate(of_python)
    np.random.set_state(of_numpy)
    torch.set_rng_state(of_torch)
    if of_cuda is not None:
        torch.cuda.set_rng_state_all(of_cuda)
