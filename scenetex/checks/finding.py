"""What a check found wrong."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something about a scene that does not look right, though it can be worked on.

    Attributes:
        check: which one found it: "frames", "cameras", "fit" (photos, poses and mesh), "depth", "size" or "faces".
        message: one line with the likely cure.
    """

    check: str
    message: str
