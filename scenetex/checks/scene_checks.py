"""All checks of one scene in a row."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..scene.scene import Scene
from .faces import check_faces, turn_faces
from .finding import Finding
from .fit import NOTHING_SEEN, check_fit, is_sound
from .look import look_at
from .plausibility import check_cameras, check_frames, check_size, longest_side
from .sensor_depth import check_depth, depth_agreement


@dataclass(frozen=True, eq=False)
class Checks:
    """What the checks of a scene say.

    Attributes:
        findings: what does not look right, most telling first; empty for a sound scene.
        figures: what was measured, ready for JSON; None for what cannot be.
        scene: the scene with faces turned towards the cameras that see them, where they are wound otherwise.
    """

    findings: tuple[Finding, ...]
    figures: dict
    scene: Scene

    def __repr__(self) -> str:
        found = ", ".join(finding.check for finding in self.findings) or "nothing found"
        return f"Checks({self.scene.name!r}: {found})"

    def report(self) -> dict:
        """All of it for `report.json`."""
        return {"findings": [{"check": f.check, "message": f.message} for f in self.findings], **self.figures}


def check_scene(scene: Scene) -> Checks:
    """Looks whether mesh, poses, intrinsics, photos and depth fit each other, in about a second; in some where it
    looks for the cause of a misfit.

    Compared are up to 32 frames, as small pictures. One thing that is wrong shows in many ways: what follows from
    another finding is left out. Nothing is changed but the winding of faces.

    Args:
        scene: from `load_scene`.
    """
    if not scene.frames or not np.isfinite(scene.mesh.vertices[scene.mesh.faces]).all((1, 2)).any():
        return Checks((), {}, scene)  # what comes next says so
    look = look_at(scene)
    turned, share = turn_faces(scene, look)
    depth = depth_agreement(scene, look)
    cameras = check_cameras(scene)
    fit, agreed = check_fit(scene, look, depth, search=cameras is None)
    frames, size = check_frames(scene), check_size(scene, is_sound(agreed) or (depth is not None and depth.fits))
    # Wrong cameras see the wrong things, and so do those in the wrong place.
    found = [cameras or fit] if cameras or fit else [size or check_depth(scene, depth), check_faces(share)]
    figures = {
        "photos_compared": int(look.shows.sum()),
        "photo_agreement": round(agreed.correlation, 3) if agreed.measured else None,
        "photo_error": round(agreed.error, 2) if agreed.measured else None,
        "mesh_in_view": round(agreed.seen, 6),
        "depth_ratio": round(depth.ratio, 4) if depth else None,
        "depth_near": round(depth.near, 3) if depth else None,
        "longest_side": round(longest_side(scene.mesh), 3),
        "area_turned": round(share, 4),
        "frames_without_photo": len(scene.without_photo),
        "files_damaged": len(scene.damaged),
    }
    return Checks(tuple(f for f in (*found, frames) if f), figures, turned)


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
