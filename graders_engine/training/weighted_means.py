"""Means over all tokens, or all rows, of a step or an evaluation, in whatever batches they are computed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

_OF_TOKENS = ("mean_token_accuracy", "entropy")
_OF_ROWS = ("rewards/accuracies", "rewards/margins")
_LOSS = "eval_loss"


def with_weighted_means(
    trainer: type, weights_of: Callable[[Any], tuple[Any, Any]], *, loss_of_tokens: bool
) -> type:
    """A trainer of TRL, which takes the mean of its batches' means, with weights in their place.

    Args:
        trainer: `SFTTrainer` or `DPOTrainer`.
        weights_of: how many tokens and rows a batch has, as tensors.
        loss_of_tokens: whether the loss is a mean over tokens, and not over rows.
    """
    import torch

    class WeightedTrainer(trainer):  # the class is known when it is given
        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **given)
            self._sums = _Sums()

        def compute_loss(
            self,
            model: Any,
            inputs: Any,
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            mode = "train" if self.model.training else "eval"
            counts = torch.stack([one.detach().float() for one in weights_of(inputs)])
            tokens, rows = self._summed(counts).tolist()
            found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            self._sums.count_newest(self._metrics[mode], _OF_TOKENS, tokens)
            self._sums.count_newest(self._metrics[mode], _OF_ROWS, rows)
            if mode == "eval":
                loss = (found[0] if return_outputs else found).detach().float()
                total = self._summed((loss * counts[0 if loss_of_tokens else 1])[None]).item()
                self._sums.add(_LOSS, total, tokens if loss_of_tokens else rows)
            return found

        def _summed(self, values: Any) -> Any:
            """The sums over all processes."""
            gathered = self.accelerator.gather(values[None].to(self.accelerator.device))
            return gathered.sum(dim=0)

        def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
            self._sums.put_into(logs, self._metrics["train" if self.model.training else "eval"])
            super().log(logs, start_time)

    return WeightedTrainer


class _Sums:
    """Sums of numbers by name, with the weights that they have."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, name: str, total: float, weight: float) -> None:
        """Add the sum of some numbers."""
        before, weights = self._sums.get(name, (0.0, 0.0))
        self._sums[name] = before + total, weights + weight

    def count_newest(
        self, metrics: Mapping[str, list[float]], names: Collection[str], weight: float
    ) -> None:
        """Add the means of the newest batch, of those names that it has."""
        for name in names:
            if values := metrics.get(name):
                self.add(name, values[-1] * weight, weight)

    def put_into(self, logs: dict[str, float], metrics: dict[str, list[float]]) -> None:
        """Put the means where those of the batches stand, and begin again."""
        for name, (total, weight) in self._sums.items():
            if weight and name in metrics:
                metrics[name] = [total / weight]
            elif weight and name in logs:
                logs[name] = total / weight
        self._sums.clear()


def answer_tokens(batch: Any) -> tuple[Any, Any]:
    """The tokens and rows of a supervised batch that are learned from."""
    import torch

    labels = batch["labels"]
    return (labels[..., 1:] != -100).sum(), torch.tensor(len(labels), device=labels.device)


def chosen_tokens(batch: Any) -> tuple[Any, Any]:
    """The tokens of the preferred answers of a dpo batch, and its pairs; they are its first half."""
    import torch

    chosen, _ = batch["completion_mask"].chunk(2, dim=0)
    return chosen[..., 1:].sum(), torch.tensor(len(chosen), device=chosen.device)
