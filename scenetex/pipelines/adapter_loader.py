"""What users of diffusers load into a pipeline beside its model, LoRAs and IP-Adapters, for the pipelines here."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers.configuration_utils import FrozenDict
from diffusers.loaders import StableDiffusionLoraLoaderMixin, StableDiffusionXLLoraLoaderMixin

from ..models.multiview_unet import base_unet
from .loading import quiet_loading


class AdapterLoader(StableDiffusionXLLoraLoaderMixin):
    """`load_lora_weights`, `set_adapters`, `load_ip_adapter` and the like, as of diffusers' Stable Diffusion pipelines,
    or XL's where there are two text encoders; what is for the UNet goes to the one that the blocks are around."""

    def load_lora_weights(self, *args: Any, **kwargs: Any) -> None:
        """As of diffusers' pipelines."""
        single = self.text_encoder_2 is None
        kind = StableDiffusionLoraLoaderMixin if single else StableDiffusionXLLoraLoaderMixin
        kind.load_lora_weights(self, *args, **kwargs)

    @classmethod
    def lora_state_dict(cls, source: Any, unet_config: Any = None, **options: Any) -> Any:
        """As of diffusers' pipelines; of the configuration of a `MultiViewUNet`, its base's counts."""
        if unet_config is not None and "unet_config" in unet_config:
            unet_config = FrozenDict(unet_config["unet_config"])
        return super().lora_state_dict(source, unet_config=unet_config, **options)

    def load_ip_adapter(self, *args: Any, **kwargs: Any) -> None:
        """As of diffusers' pipelines."""
        with self._base_alone() as image_prompts:
            image_prompts.load_ip_adapter(self, *args, **kwargs)

    def set_ip_adapter_scale(self, scale: Any) -> None:
        """As of diffusers' pipelines."""
        with self._base_alone() as image_prompts:
            image_prompts.set_ip_adapter_scale(self, scale)

    def unload_ip_adapter(self) -> None:
        """As of diffusers' pipelines."""
        self.reference = None
        with self._base_alone() as image_prompts:
            image_prompts.unload_ip_adapter(self)

    @contextmanager
    def _base_alone(self) -> Iterator[type]:
        """diffusers' methods for IP-Adapters, and for the time of the block the UNet without its blocks between views,
        whose attributes they are about."""
        with quiet_loading():  # importing them says what other image processors could be had
            from diffusers.loaders import IPAdapterMixin
        around = self.unet
        try:
            object.__setattr__(self, "unet", base_unet(around))
            yield IPAdapterMixin
        finally:
            object.__setattr__(self, "unet", around)
