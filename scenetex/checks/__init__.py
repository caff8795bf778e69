"""Do the parts of a scene fit each other: photos, poses, intrinsics, depth and mesh?"""

from .check import Checks, check_scene, refuse, run_checks
from .finding import Finding

__all__ = ["Checks", "Finding", "check_scene", "refuse", "run_checks"]
