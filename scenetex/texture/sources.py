"""Where the colour of each texel comes from: in numbers, and as an image that shows it and can be read back."""

from .textured_mesh import TexturedMesh


def texels_by_source(textured: TexturedMesh) -> dict[str, int]:
    """How many texels show photos, generated images, and what was filled in where no view saw anything."""
    seen = sum(int(page.sum()) for page in textured.coverage)
    generated = sum(int(page.sum()) for page in textured.generated or ())
    return {"photo": seen - generated, "generated": generated, "filled": (textured.texels or seen) - seen}
