"""WebP in glTF: `EXT_texture_webp`."""

_NAME = "EXT_texture_webp"


def texture_source(image: int, mime: str) -> dict:
    """What a texture says of the image it shows."""
    return {"extensions": {_NAME: {"source": image}}} if mime == "image/webp" else {"source": image}


def require_webp(document: dict) -> None:
    """Lists the extension where a texture has it: as required, for there is no other image."""
    if any(_NAME in texture.get("extensions", {}) for texture in document["textures"]):
        for listed in ("extensionsUsed", "extensionsRequired"):
            document[listed] = list(dict.fromkeys([*document.get(listed, []), _NAME]))
