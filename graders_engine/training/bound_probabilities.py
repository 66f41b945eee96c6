"""The probabilities of answers that were bound to a grammar: of the tokens that it allows, and no others.

With the probabilities of free answers a model would learn from tokens that it was never offered: what a bound
answer avoids goes to tokens that the grammar forbids, and the reward falls.
"""

from __future__ import annotations

from typing import Any

from graders_engine.training.bound import Bound


def with_bound_probabilities(trainer: type, tokenizer: Any, grammar: str) -> type:
    """TRL's trainer of reinforcement for a model whose answers are bound.

    Args:
        trainer: `GRPOTrainer`.
        tokenizer: of the model.
        grammar: of `grammar_of`.
    """
    import torch

    class BoundTrainer(trainer):  # the class is known when it is given
        def _get_per_token_logps_and_entropies(
            self,
            model: Any,
            input_ids: Any,
            attention_mask: Any,
            logits_to_keep: int,
            batch_size: int | None = None,
            compute_entropy: bool = False,
            compute_aux_loss: bool = False,
            **_: Any,  # of images, which no row has
        ) -> tuple[Any, Any, Any]:
            found, losses = [], []
            more = {"output_router_logits": True} if compute_aux_loss else {}
            for ids, mask in zip(
                input_ids.split(batch_size or len(input_ids)),
                attention_mask.split(batch_size or len(input_ids)),
                strict=True,
            ):
                with self.accelerator.autocast():
                    outputs = model(input_ids=ids, attention_mask=mask, **more)
                logits = outputs.logits[:, -logits_to_keep - 1 : -1].float() / self.temperature
                found.append(bound_logps(tokenizer, grammar, ids, logits))
                if compute_aux_loss:
                    losses.append(outputs.aux_loss)
            logps, entropies = (torch.cat(parts) for parts in zip(*found, strict=True))
            aux_loss = torch.stack(losses).mean() if losses else None
            return logps, entropies if compute_entropy else None, aux_loss

    return BoundTrainer


def bound_logps(tokenizer: Any, grammar: str, ids: Any, logits: Any) -> tuple[Any, Any]:
    """The logarithms of the probabilities of the last tokens, and the entropies there.

    Args:
        tokenizer: of the model.
        grammar: that the answers were bound to.
        ids: of prompts and answers; an answer that has ended is filled up.
        logits: for each token of the answers.
    """
    import torch

    size = logits.shape[1]
    prompt, answers = ids.shape[1] - size, ids[:, -size:]
    bound = Bound(tokenizer, grammar, len(ids), prompt)
    steps = [bound(ids[:, : prompt + at], logits[:, at]) for at in range(size)]
    logps = torch.stack(steps, dim=1).log_softmax(-1)
    chosen = logps.gather(-1, answers[..., None])[..., 0]
    # Behind the end of an answer anything may stand; it does not count.
    chosen = chosen.masked_fill(chosen.isinf(), 0.0)
    entropies = -(logps.exp() * logps.masked_fill(logps.isinf(), 0.0)).sum(-1)
    return chosen, entropies
