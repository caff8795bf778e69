"""Images in glTF that only extensions know: WebP (`EXT_texture_webp`) and KTX2 (`KHR_texture_basisu`)."""

_EXTENSIONS = {"image/webp": "EXT_texture_webp", "image/ktx2": "KHR_texture_basisu"}


def texture_source(image: int, mime: str) -> dict:
    """What a texture says of the image it shows."""
    name = _EXTENSIONS.get(mime)
    return {"extensions": {name: {"source": image}}} if name else {"source": image}


def require_images(document: dict) -> None:
    """Lists the extensions that textures have: as required, for there is no other image."""
    there = {name for texture in document["textures"] for name in texture.get("extensions", {})}
    for name in _EXTENSIONS.values():
        if name in there:
            declare(document, name)


def declare(document: dict, name: str) -> None:
    """Lists an extension as used and required, once."""
    for listed in ("extensionsUsed", "extensionsRequired"):
        document[listed] = list(dict.fromkeys([*document.get(listed, []), name]))
