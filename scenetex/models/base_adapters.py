"""What diffusers adds to a UNet by name, for networks that are built around one: it is the base that gets it."""

from collections.abc import Callable, Mapping
from typing import Any

from diffusers import UNet2DConditionModel


def _of_base(name: str) -> Callable[..., Any]:
    def call(self: "BaseAdapters", *args: Any, **kwargs: Any) -> Any:
        return getattr(self.unet, name)(*args, **kwargs)

    call.__name__, call.__doc__ = name, f"`UNet2DConditionModel.{name}` of the base UNet."
    return call


class BaseAdapters:
    """LoRAs of a network go to its base `unet`, whose layers they were trained for."""

    unet: UNet2DConditionModel

    # What pipelines ask of their UNet.
    load_lora_adapter = _of_base("load_lora_adapter")
    set_adapters = _of_base("set_adapters")
    delete_adapters = _of_base("delete_adapters")
    active_adapters = _of_base("active_adapters")
    enable_lora = _of_base("enable_lora")
    disable_lora = _of_base("disable_lora")
    fuse_lora = _of_base("fuse_lora")
    unfuse_lora = _of_base("unfuse_lora")
    unload_lora = _of_base("unload_lora")
    enable_lora_hotswap = _of_base("enable_lora_hotswap")

    @property
    def peft_config(self) -> Mapping[str, Any]:
        """The LoRAs of the base UNet, by name; there is no such attribute where it has none, as in diffusers."""
        if getattr(self.unet, "peft_config", None) is None:
            raise AttributeError("peft_config")
        return self.unet.peft_config
