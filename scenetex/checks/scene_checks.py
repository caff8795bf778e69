"""All checks of one scene in a row."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..job.stages import Stages
from ..scene.scene import Scene
from .cameras import check_cameras
from .faces import check_faces, turn_faces
from .finding import Finding
from .fit import NOTHING_SEEN, check_fit, is_sound
from .left_out import check_frames
from .look import look_at
from .sensor_depth import check_depth, depth_agreement
from .size import check_size, longest_side


@dataclass(frozen=True, eq=False)
class Checks:
    """What the checks of a scene say.

    Attributes:
        findings: what does not look right, most telling first; empty for a sound scene.
        figures: what was measured, ready for JSON; None for what cannot be.
        scene: the scene with faces turned towards the cameras that see them, where they are wound otherwise.

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

    def __repr__(self) -> str:
        found = ", ".join(finding.check for finding in self.findings) or "nothing found"
        return f"Checks({self.scene.name!r}: {found})"

    def report(self) -> dict[str, object]:
        """All of it for `report.json`."""
        return {"findings": [{"check": f.check, "message": f.message} for f in self.findings], **self.figures}


def check_scene(scene: Scene) -> Checks:
    """Looks whether mesh, poses, intrinsics, photos and depth fit each other, in about a second; in some where it
    looks for the cause of a misfit.

    Compared are up to 32 frames, as small pictures. One thing that is wrong shows in many ways: what follows from
    another finding is left out. Nothing is changed but the winding of faces.

    Args:
        scene: from `load_scene`.

    Example:
        >>> import scenetex
        >>> scene = scenetex.load_scene("scenes/sample_room", mesh_scale=0.001)
        >>> [finding.check for finding in scenetex.check_scene(scene).findings]
        ['fit']
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


def run_checks(scene: Scene, stages: Stages) -> Checks:
    """`check_scene` as a stage; what it finds is among the warnings of the run.

    Raises:
        InputError: no frame sees anything of the mesh: there is nothing to go on with.
    """
    with stages.stage("check"):
        checks = check_scene(scene)
        if checks.figures.get("mesh_in_view") == 0:
            causes = [f.message for f in checks.findings if f.message != NOTHING_SEEN]
            say = "; ".join(causes) or "check that poses and mesh share one frame and unit (metres)"
            raise InputError(f"{scene.path or scene.name}: no frame sees the mesh; {say}")
    stages.warnings += [finding.message for finding in checks.findings]
    return checks


def refuse(checks: Checks) -> None:
    """Raises InputError, in one line, if anything was found."""
    if checks.findings:
        scene = checks.scene
        found = "; and ".join(finding.message for finding in checks.findings)
        raise InputError(f"{scene.path or scene.name}: {found} (--strict)")
