"""The training objective, computed a few rows at a time so that the logits of a whole batch never exist at once."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

ROWS = 256  # target tokens whose logits are in memory together: they stay in the processor's cache


class LinearCrossEntropy(torch.autograd.Function):
    """Cross-entropy of softmax(states · embeddingᵀ), in nats, summed over the rows; and how many argmaxes are right.

    The gradient is made beside the loss, while the probabilities are at hand: ∂loss/∂logits = probabilities − one-hot.
    Matrix products run in bfloat16, the softmax in float32. Equal to `F.cross_entropy` of the whole logits up to that
    rounding, at a fraction of the memory traffic (the idea of Wijmans et al. 2024, Cut Your Losses).
    """

    @staticmethod
    def forward(
        context: Any,
        states: Float[Tensor, "row content"],
        embedding: Float[Tensor, "vocab content"],
        expected: Int[Tensor, " row"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        inputs, table = states.bfloat16(), embedding.bfloat16()
        transposed = table.T.contiguous()
        to_states = torch.empty_like(states, dtype=torch.float32)
        to_table = torch.zeros_like(embedding, dtype=torch.float32)
        loss, hits = torch.zeros((), device=states.device), torch.zeros((), device=states.device)
        for begun in range(0, len(expected), ROWS):
            rows = slice(begun, begun + ROWS)
            logits = (inputs[rows] @ transposed).float()
            normaliser = logits.logsumexp(-1, keepdim=True)
            target = expected[rows, None]
            hits += (logits.argmax(-1, keepdim=True) == target).sum()
            loss += (normaliser - logits.gather(-1, target)).sum()
            gradient = logits.sub_(normaliser).exp_()
            gradient.scatter_add_(-1, target, torch.full_like(normaliser, -1.0))
            small = gradient.bfloat16()
            to_states[rows] = (small @ table).float()
            to_table += (small.T @ inputs[rows]).float()
        context.save_for_backward(to_states, to_table)
        context.mark_non_differentiable(hits)
        return loss, hits

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        to_states, to_table = context.saved_tensors
        return to_states * gradients[0], to_table * gradients[0], None
