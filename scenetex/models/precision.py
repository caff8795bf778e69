"""Precision of the position encodings' frequencies, which half precision would spoil."""

from typing import ClassVar

import torch
from diffusers import ModelMixin
from torch import nn


class ExactFrequencies(ModelMixin):
    """A model with correspondence attention: its frequencies stay in float32 when it is loaded in, or cast to, less."""

    _keep_in_fp32_modules: ClassVar = ["bands"]

    def to(self, *args, **kwargs):
        """As torch's `to`."""
        dtypes = [value for value in (*args, kwargs.get("dtype")) if isinstance(value, torch.dtype)]
        if not dtypes or getattr(self, "is_quantized", False):
            return super().to(*args, **kwargs)
        # diffusers warns at every cast that what is kept in float32 while loading would be cast, too; here, each
        # attention sees to it that its frequencies are not.
        nn.Module.to(self, dtypes[0])
        args = [value for value in args if not isinstance(value, torch.dtype)]
        kwargs.pop("dtype", None)
        return super().to(*args, **kwargs) if args or kwargs else self
