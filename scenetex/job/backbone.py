"""Whether a model is one of the package's pipelines, or one of diffusers that knows nothing of several views."""

from ..bundled import locate_model


def is_backbone(model: str) -> bool:
    """Whether a model is one for `ConsistentViews`."""
    from ..pipelines.backbones import has_transformer

    return has_transformer(locate_model(model))


def sampling_defaults(model: str, controlnet: str | None) -> dict[str, float | None]:
    """Those settings of `Sampling` that a model of any kind, which has been loaded before, has its own values of."""
    from ..pipelines import backbones
    from ..pipelines.multiview import MultiViewPipeline

    if is_backbone(model):
        return backbones.sampling_defaults(locate_model(model), controlnet)
    return MultiViewPipeline.sampling_defaults(model)
