"""All checks of one scene in a row."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from ..errors import InputError
from ..limits import KEYFRAMES, checked, read_keyframes
from ..scene.frame import Frame
from ..scene.scene import Scene
from ..views.keyframes import select_keyframes
from .agreement import agreement
from .causes import Evidence, is_sound
from .colors import check_colors, color_agreement
from .faces import check_faces, turn_faces
from .finding import Finding
from .fit import NOTHING_SEEN, check_fit, misfit
from .look import look_at
from .plausibility import check_cameras, check_frames, check_size, longest_side
from .sensor_depth import check_depth, soundings


@dataclass(frozen=True, eq=False)
class Checks:
    """What the checks of a scene say.

    Attributes:
        findings: what does not look right, most telling first; empty for a sound scene.
        figures: what was measured, ready for JSON; None for what cannot be.
        scene: the scene with faces turned towards the cameras that see them, where they are wound otherwise.
        frames: those among which was looked: the ones asked for, or all.
        fell_back: the frames asked for tell too little, so that all were taken.

    Example:
        >>> import scenetex
        >>> checks = scenetex.check_scene(scenetex.load_scene("scenes/sample_room"))
        >>> checks
        Checks('sample_room': nothing found)
        >>> checks.figures["photo_agreement"] > 0.6
        True
    """

    findings: tuple[Finding, ...]
    figures: dict[str, float | None]
    scene: Scene
    frames: tuple[Frame, ...] = ()
    fell_back: bool = False

    def __repr__(self) -> str:
        found = ", ".join(finding.check for finding in self.findings) or "nothing found"
        return f"Checks({self.scene.name!r}: {found})"

    def report(self) -> dict[str, object]:
        """All of it for `report.json`."""
        return {"findings": [{"check": f.check, "message": f.message} for f in self.findings], **self.figures}


@checked
def check_scene(scene: Scene, keyframes: Annotated[str, KEYFRAMES] = "auto") -> Checks:
    """Looks whether mesh, poses, intrinsics, photos and depth fit each other, in about a second; in some where it
    looks for the cause of a misfit.

    Compared are up to 32 frames, as small pictures. One thing that is wrong shows in many ways: what follows from
    another finding is left out. Nothing is changed but the winding of faces.

    Args:
        scene: from `load_scene`.
        keyframes: as in `texture_scene`. Where they are ids, or "every:N", only these are looked at, unless they tell
            too little.

    Raises:
        InputError: `keyframes` is not understood, or names a frame that is not there.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room", mesh_scale=0.001)
        >>> [finding.check for finding in scenetex.check_scene(scene).findings]
        ['fit']
    """
    if not scene.frames or not np.isfinite(scene.mesh.vertices[scene.mesh.faces]).all((1, 2)).any():
        return Checks((), {}, scene, scene.frames)  # what comes next says so
    whole, (scene, fell_back) = scene, _used(scene, keyframes)
    look = look_at(scene)
    turned, share = turn_faces(scene, look)
    sounded = soundings(scene, look)
    depth, agreed = None if sounded is None else sounded.agreement(), agreement(look)
    cameras = check_cameras(scene)
    evidence = Evidence(scene, whole, look, agreed, sounded, depth)
    fit = check_fit(evidence, search=cameras is None)
    frames, size = check_frames(whole), check_size(scene, evidence.sound or evidence.photos_alone)
    colors = color_agreement(scene, look)
    # Wrong cameras see the wrong things, and so do those in the wrong place.
    found = [cameras or fit]
    if not (cameras or fit):
        found = [size or check_depth(scene, depth), _faces(evidence, share), check_colors(colors)]
    figures = {
        "photos_compared": int(look.shows.sum()),
        "photo_agreement": round(agreed.correlation, 3) if agreed.measured else None,
        "photo_error": round(agreed.error, 2) if agreed.measured else None,
        "color_agreement": round(colors.correlation, 3) if colors else None,
        "mesh_in_view": round(agreed.seen, 6),
        "depth_ratio": round(depth.ratio, 4) if depth else None,
        "depth_near": round(depth.near, 3) if depth else None,
        "longest_side": round(longest_side(scene.mesh), 3),
        "area_turned": round(share, 4),
        "frames_without_photo": len(whole.without_photo),
        "files_damaged": len(whole.damaged),
    }
    said = tuple(f for f in (*found, frames) if f)
    return Checks(said, figures, replace(turned, frames=whole.frames), scene.frames, fell_back)


def _used(scene: Scene, keyframes: str) -> tuple[Scene, bool]:
    """The scene with the frames that were asked for by name alone; where they tell too little, itself, and True."""
    asked = read_keyframes(keyframes, "keyframes")
    if not asked or "count" in asked:
        return scene, False
    ids = set(select_keyframes(scene, **asked))
    used = replace(scene, frames=tuple(frame for frame in scene.frames if frame.id in ids))
    now = agreement(look_at(used))
    return (used, False) if now.plenty or is_sound(now) else (scene, len(used.frames) < len(scene.frames))


def _faces(evidence: Evidence, share: float) -> Finding | None:
    """What to say of faces that are seen from behind: it is the cameras' fault where photos or depth disagree."""
    found = check_faces(share)
    disagrees = (evidence.now.measured and not evidence.sound) or evidence.depth_misses
    return misfit() if found and disagrees and not evidence.photos_alone else found


def refuse_unseen(checks: Checks) -> None:
    """Raises InputError if no frame sees anything of the mesh: there is nothing to go on with."""
    if checks.figures.get("mesh_in_view") == 0:
        scene = checks.scene
        causes = [f.message for f in checks.findings if f.message != NOTHING_SEEN]
        say = "; ".join(causes) or "check that poses and mesh share one frame and unit (metres)"
        raise InputError(f"{scene.path or scene.name}: no frame sees the mesh; {say}")


def refuse(checks: Checks) -> None:
    """Raises InputError, in one line, if anything was found."""
    if checks.findings:
        scene = checks.scene
        found = "; and ".join(finding.message for finding in checks.findings)
        raise InputError(f"{scene.path or scene.name}: {found} (--strict)")
