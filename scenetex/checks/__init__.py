"""Do the parts of a scene fit each other: photos, poses, intrinsics, depth and mesh?"""

from .finding import Finding
from .scene_checks import Checks, check_scene, refuse, refuse_unseen

__all__ = ["Checks", "Finding", "check_scene", "refuse", "refuse_unseen"]
