"""Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024): every direction of a weight
matrix moves equally far, which teaches small models several times as much per step as Adam's element-wise scaling."""

from collections.abc import Iterable
from functools import cache

import torch
from torch import distributed, nn

_ITERATIONS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# Of the update's root mean square, as large as Adam's usually is (Liu et al., "Muon is scalable for LLM training",
# 2025), so that one learning rate serves both.
_LIKE_ADAM = 0.2


def muon(module: nn.Module, parameters: Iterable[nn.Parameter], **options) -> "Muon":
    """Muon for some parameters of a module; the rows of its embeddings, of which a step sees a few, go by AdamW."""
    rows = {id(m.weight) for m in module.modules() if isinstance(m, nn.Embedding)}
    parameters = list(parameters)
    split = {orthogonal: [p for p in parameters if (id(p) not in rows) == orthogonal] for orthogonal in (True, False)}
    return Muon([{"params": some, "orthogonal": kind} for kind, some in split.items() if some], **options)


class Muon(torch.optim.Optimizer):
    """Muon for weights of two and more dimensions (convolutions as matrices, output channels by the rest), AdamW for
    vectors, and for groups of parameters with ``orthogonal=False``.

    Args:
        parameters: what is optimised, or groups of it.
        lr: learning rate of both.
        momentum: decay of Muon's average gradient, Nesterov's way.
        betas: AdamW's.
        weight_decay: decoupled, for both.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 1e-2,
    ):
        defaults = dict(lr=lr, momentum=momentum, betas=betas, weight_decay=weight_decay, orthogonal=True)
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        """One update of all parameters that have a gradient, which must be the same one in all processes."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            matrices = [p for p in given if group["orthogonal"] and p.ndim >= 2]
            updates = dict(
                zip(matrices, _shared_out([self._ahead(p, group["momentum"]) for p in matrices]), strict=True)
            )
            for p in given:
                update = updates[p].view_as(p) if p in updates else self._vector(p, group["betas"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update, alpha=-group["lr"])
        return loss

    def _ahead(self, p: nn.Parameter, momentum: float) -> torch.Tensor:
        """(m, n): the average gradient, a step ahead."""
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        state["momentum"].lerp_(p.grad, 1 - momentum)
        return p.grad.lerp(state["momentum"], momentum).flatten(1)

    def _vector(self, p: nn.Parameter, betas: tuple[float, float]) -> torch.Tensor:
        state = self.state[p]
        if not state:
            state.update(step=torch.zeros(()), mean=torch.zeros_like(p), square=torch.zeros_like(p))
        state["step"] += 1
        state["mean"].lerp_(p.grad, 1 - betas[0])
        state["square"].lerp_(p.grad.square(), 1 - betas[1])
        mean, square = (state[k] / (1 - b ** state["step"]) for k, b in zip(("mean", "square"), betas, strict=True))
        return mean / (square.sqrt() + 1e-8)


def _shared_out(matrices: list[torch.Tensor]) -> list[torch.Tensor]:
    """Updates for average gradients; every process works out its part of them and gets all."""
    world = distributed.get_world_size() if distributed.is_initialized() else 1
    rank = distributed.get_rank() if world > 1 else 0
    # Half as much to send as in float32.
    updates = [torch.zeros_like(m, dtype=torch.bfloat16) for m in matrices]
    for i in range(rank, len(matrices), world):
        updates[i] = orthogonalized(matrices[i]).mul_(_LIKE_ADAM * max(matrices[i].shape) ** 0.5)
    if world > 1 and updates:
        flat = torch.cat([u.flatten() for u in updates])
        distributed.all_reduce(flat)
        updates = [part.view_as(u) for part, u in zip(flat.split([u.numel() for u in updates]), updates, strict=True)]
    return updates


def orthogonalized(matrix: torch.Tensor) -> torch.Tensor:
    """(m, n) of the same singular vectors, its singular values near 1 (0.7 to 1.2): five quintic Newton-Schulz
    iterations. They tolerate bfloat16; where it would be emulated they are done in whole precision."""
    narrow = _has_bfloat16(matrix.device)
    x = matrix.bfloat16() if narrow else matrix.float()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.mT
    x = x / (x.norm() + 1e-7)
    x = _iterated(x) if narrow else _iterated_small(x)
    return x.mT if tall else x


def _iterated(x: torch.Tensor) -> torch.Tensor:
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x


def _iterated_small(x: torch.Tensor) -> torch.Tensor:
    """The same in a third of the time, for convolutions, which are many times as wide as high: each iteration is a
    polynomial of x x^T times x, so that x itself is needed in the beginning and in the end alone. Bfloat16 is too
    coarse for squares."""
    a, b, c = _COEFFICIENTS
    square = x @ x.mT
    whole = one = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(_ITERATIONS):
        factor = a * one + b * square + c * (square @ square)
        whole, square = factor @ whole, factor @ factor @ square
    return whole @ x


@cache
def _has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies matrices of bfloat16 itself."""
    return device.type != "cpu" or getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
