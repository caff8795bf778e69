"""Where the pixels of one view are found in the others: by depth and poses, or by rotation alone (panoramas)."""

from .correspondence import Correspondence
from .depth import from_depth
from .matches import KeyGroup, Matches
from .rotation import from_rotation

__all__ = ["Correspondence", "KeyGroup", "Matches", "from_depth", "from_rotation"]
