"""Fusion: views that show the same surface agree on the clean image they are heading for."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from ..correspondence import Correspondence
from ..errors import InputError
from .schedulers import is_flow

# Of the noise levels, from the top, those at which views agree in everything: views of a scene while the large shapes
# form; those around a point nearly to the end, since what neighbours do not agree on, stitching would blur as well.
SHARE_IN_SCENES, SHARE_IN_RINGS = 0.3, 0.95
_COARSE = 1.0  # latent cells, standard deviation of the Gaussian that tells what is not fine
# A view that is there already counts for more than one that is still forming.
_ANCHOR_WEIGHT = 4.0
_PREDICTIONS = ("epsilon", "v_prediction", "sample")
_FLOW = "flow_prediction"


@dataclass(frozen=True)
class NoiseLevel:
    """What the model sees at one step: x = signal * clean + noise * N(0, 1), with signal^2 + noise^2 = 1, or for flow
    matching with signal + noise = 1.

    Attributes:
        signal, noise: both 0 to 1.
        prediction: what the model predicts: "epsilon", "v_prediction", "sample", or for flow matching
            "flow_prediction", the velocity N(0, 1) - clean.
    """

    signal: float
    noise: float
    prediction: str

    def clean(self, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """The clean latents that the model's output implies."""
        if self.prediction == "sample":
            return output
        if self.prediction == "v_prediction":
            return self.signal * x - self.noise * output
        if self.prediction == _FLOW:
            return x - self.noise * output
        return (x - self.noise * output) / max(self.signal, 1e-4)

    def output(self, x: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        """The model output that implies these clean latents."""
        if self.prediction == "sample":
            return clean
        noise = max(self.noise, 1e-4)
        if self.prediction == "v_prediction":
            return (self.signal * x - clean) / noise
        if self.prediction == _FLOW:
            return (x - clean) / noise
        return (x - self.signal * clean) / noise


def noise_level(scheduler, step: int, timestep: torch.Tensor) -> NoiseLevel:
    """The noise level of the `step`-th of the scheduler's timesteps, before it is taken.

    Raises:
        InputError: a scheduler whose levels are not those of a diffusion with noise and signal.
    """
    prediction = scheduler.config.get("prediction_type", "epsilon")
    if is_flow(scheduler):
        noise = float(scheduler.sigmas[step])
        return NoiseLevel(1 - noise, noise, _FLOW)
    levels = getattr(scheduler, "alphas_cumprod", None)
    if levels is None or prediction not in _PREDICTIONS or scheduler.config.get("use_flow_sigmas", False):
        raise InputError(
            f"{type(scheduler).__name__} (prediction {prediction}) has no noise levels to fuse images at; choose "
            "another scheduler, such as DDIMScheduler, or pass fusion=False"
        )
    # Schedulers that keep x = clean + sigma * noise scale it by 1 / sqrt(1 + sigma^2) for the model.
    signal = float(scheduler.scale_model_input(torch.ones(1, dtype=torch.float64, device=timestep.device), timestep))
    if signal == 1.0:
        if getattr(scheduler, "sigmas", None) is not None:
            signal = float((1 + scheduler.sigmas[step].double() ** 2) ** -0.5)
        else:
            signal = float(levels[int(timestep)].double() ** 0.5)
    return NoiseLevel(signal, max(0.0, 1 - signal**2) ** 0.5, prediction)


class Fusion:
    """Averages clean latents over the places where m views show the same surface.

    Args:
        correspondence: of the m views; convention "visible".
        shape: (h, w) of the latents.
        known: (m, 1, h, w) bool, cells that are there already, all of an anchor's and part of other views': the others
            come to them, they do not move.
        share: of the noise levels, from the top, at which views agree in everything, while the large shapes form; then
            each has its own fine detail, which averaging would blur. That of what is known is there to be taken over.
    """

    def __init__(self, correspondence: Correspondence, shape: tuple[int, int], known: torch.Tensor, share: float):
        self._matches = correspondence.at(shape)
        self._known = known.flatten()
        self.share = share

    def is_coarse(self, scheduler, step: int, timestep: torch.Tensor) -> bool:
        """Whether views agree at a step in what is not fine alone. It goes by the noise level, as the model is told it,
        so that few steps do as many; from pure noise, whatever a scheduler calls that, views agree in everything."""
        return step > 0 and float(timestep) < (1 - self.share) * scheduler.config.num_train_timesteps

    def fuse(self, clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The fused latents of the cells that have partners.

        Args:
            clean: (m, c, h, w).

        Returns:
            tokens (n,) int64, numbered view * h * w + cell; their latents (n, c) float32; and (n,) bool, whether a
            known cell is among their partners.
        """
        table = clean.float().permute(0, 2, 3, 1).reshape(-1, clean.shape[1])
        known = self._known.to(table.device)
        tokens, values, anchored = [table.new_zeros(0, dtype=torch.long)], [table[:0]], [known[:0]]
        for group in self._matches.groups:
            seen = group.keys.sample(table)
            # Of the four cells that a key lies between, the one that it lies nearest to.
            nearest = group.keys.weight.argmax(-1, keepdim=True)
            there = known[group.keys.texel.gather(-1, nearest)[..., 0].long()]
            weight = torch.where(there, _ANCHOR_WEIGHT, 1.0)
            if group.valid is not None:
                weight, there = weight * group.valid, there & group.valid
            total = table[group.query] + (weight[..., None] * seen).sum(1)
            moves = ~known[group.query]
            tokens.append(group.query[moves])
            values.append((total / (1 + weight.sum(1, keepdim=True)))[moves])
            anchored.append(there.any(1)[moves])
        return torch.cat(tokens), torch.cat(values), torch.cat(anchored)

    def apply(self, x: torch.Tensor, output: torch.Tensor, level: NoiseLevel, coarse: bool = False) -> torch.Tensor:
        """The model's output (m, c, h, w) with fused clean latents; cells without a partner are left as they are.

        Args:
            coarse: views come to agree in what is not fine alone, but for places that are known elsewhere, too: of the
                change, its smooth part is made.
        """
        clean = level.clean(x.float(), output.float())
        tokens, fused, anchored = self.fuse(clean)
        rows = clean.permute(0, 2, 3, 1).reshape(-1, clean.shape[1])
        if coarse:
            smooth = rows[tokens] + self._smooth(tokens, fused - rows[tokens], clean.shape)
            fused = torch.where(anchored[:, None], fused, smooth)
        out = output.permute(0, 2, 3, 1).reshape(rows.shape).clone()
        at = x.float().permute(0, 2, 3, 1).reshape(rows.shape)[tokens]
        out[tokens] = level.output(at, fused).to(out.dtype)
        return out.view(output.shape[0], *output.shape[2:], -1).permute(0, 3, 1, 2).contiguous()

    def _smooth(self, tokens: torch.Tensor, change: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Changes (n, c) of tokens, each the Gaussian mean of those around it in its view (m, c, h, w); cells that do
        not change have no say."""
        m, c, h, w = shape
        field = change.new_zeros(m * h * w, c + 1)
        field[tokens, :c], field[tokens, c] = change, 1.0
        field = field.view(m, h, w, c + 1).permute(0, 3, 1, 2)
        reach = round(2 * _COARSE)
        offset = torch.arange(-reach, reach + 1, device=field.device, dtype=field.dtype)
        bell = torch.exp(-0.5 * (offset / _COARSE) ** 2).expand(c + 1, 1, 1, -1)
        for kernel in (bell, bell.mT):
            field = F.conv2d(field, kernel, padding=tuple(side // 2 for side in kernel.shape[2:]), groups=c + 1)
        total = field.permute(0, 2, 3, 1).reshape(-1, c + 1)[tokens]
        return total[:, :c] / total[:, c:]
