"""Which options that add to a model go together."""

from pathlib import Path

from ..errors import InputError


def check_additions(reference: Path | None, ip_adapter: str | None) -> None:
    """Raises InputError for an image to go by without weights that read it, or weights without an image."""
    if reference is not None and ip_adapter is None:
        raise InputError(
            f"reference {reference} (--reference): needs weights for image prompts; add --ip-adapter, such "
            "as h94/IP-Adapter for Stable Diffusion 1.5 and XL"
        )
    if ip_adapter is not None and reference is None:
        raise InputError(f"ip_adapter {ip_adapter} (--ip-adapter): has no image to go by; add --reference IMAGE")
