"""What the user guide's commands work on: tiny scans, and tiny models of random weights in place of gigabytes."""

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import phone_scans
import tiny_pipeline
import tiny_scan
import tiny_training
import torch
from diffusers import ControlNetModel
from safetensors.torch import save_file
from scipy.spatial.transform import Rotation
from tiny_adapters import write_ip_adapter
from tiny_panorama import make_panorama_pipeline
from tiny_unet import make_unet

from scenetex.models import MultiViewUNet
from scenetex.scene.mesh import Mesh
from scenetex.training.model_folder import save_pipeline

_POSES = {10 * i: tiny_scan.look(0.3 * i) for i in range(6)}
_FOUR = dict(
    block_out_channels=(8, 8, 8, 8),
    norm_num_groups=4,
    down_block_types=("DownBlock2D",) * 4,
    up_block_types=("UpBlock2D",) * 4,
)


def make(kind: str, path: Path) -> None:
    """Makes something at a path: a scan, or what a model consists of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _KINDS[kind](path)


def _photo(i: int) -> np.ndarray:
    """(48, 64, 3) uint8 with more than one colour."""
    rows = np.add.outer(np.arange(48) * 3, np.arange(64) * 2)[..., None] + [0, 20, 10 * i]
    return rows.clip(0, 255).astype(np.uint8)


def _scan(folder: Path) -> None:
    tiny_scan.write_extracted(folder, _POSES)
    for i, frame in enumerate(_POSES):
        cv2.imwrite(str(folder / "color" / f"{frame}.jpg"), _photo(i))
    _mesh(folder / f"{folder.name}_vh_clean_2.ply")


def _mesh(path: Path) -> None:
    """The room, its faces looking in."""
    tiny_scan.write_ply(path, faces=tiny_scan.ROOM_FACES[:, ::-1])


def _mapped(path: Path) -> None:
    """The room as OBJ, each triangle with a place of its own."""
    faces = tiny_scan.ROOM_FACES[:, ::-1]
    lines = ["v {} {} {}".format(*row) for row in tiny_scan.ROOM_VERTICES]
    lines += [
        f"vt {(i % 4 + u) / 4} {(i // 4 + v) / 4}" for i in range(len(faces)) for u, v in ((0, 0), (0.9, 0), (0, 0.9))
    ]
    lines += [
        "usemtl plaster",
        *("f " + " ".join(f"{v + 1}/{3 * i + k + 1}" for k, v in enumerate(f)) for i, f in enumerate(faces)),
    ]
    path.write_text("\n".join(lines) + "\n")


def _release(folder: Path) -> None:
    """As ScanNet releases its scans."""
    folder.mkdir()
    frames = [
        (pose, tiny_scan.jpeg(_photo(i)), tiny_scan.deflated(np.full((24, 32), 1500, np.uint16)))
        for i, pose in enumerate(_POSES.values())
    ]
    (folder / f"{folder.name}.sens").write_bytes(tiny_scan.sens_bytes(frames))
    (folder / f"{folder.name}.txt").write_text("axisAlignment = 0 -1 0 0 1 0 0 0 0 0 1 0 0 0 0 1\n")
    _mesh(folder / f"{folder.name}_vh_clean_2.ply")


def _capture(folder: Path) -> None:
    """As nerfstudio writes it."""
    (folder / "images").mkdir(parents=True)
    flip, frames = np.diag([1.0, -1, -1, 1]), []
    for i, pose in enumerate(_POSES.values()):
        name = f"images/frame_{i:05}.png"
        cv2.imwrite(str(folder / name), _photo(i))
        frames.append({"file_path": name, "transform_matrix": (pose @ flip).tolist()})
    meta = {"fl_x": 40.0, "fl_y": 40.0, "cx": 32.0, "cy": 24.0, "w": 64, "h": 48, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(meta))
    _mesh(folder / "mesh.ply")


def _colmap(folder: Path) -> None:
    """A COLMAP model as text, its photos and a mesh."""
    (folder / "images").mkdir(parents=True)
    (folder / "sparse" / "0").mkdir(parents=True)
    lines = []
    for i, pose in enumerate(_POSES.values()):
        cv2.imwrite(str(folder / "images" / f"{i}.png"), _photo(i))
        to_camera = np.linalg.inv(pose)
        turn = Rotation.from_matrix(to_camera[:3, :3]).as_quat(scalar_first=True)
        numbers = " ".join(f"{x:.12g}" for x in (*turn, *to_camera[:3, 3]))
        lines += [f"{i + 1} {numbers} 1 {i}.png", ""]
    (folder / "sparse" / "0" / "cameras.txt").write_text("1 PINHOLE 64 48 40 40 32 24\n")
    (folder / "sparse" / "0" / "images.txt").write_text("\n".join(lines) + "\n")
    _mesh(folder / "mesh.ply")


def _tum(folder: Path) -> None:
    """A TUM RGB-D sequence and a mesh."""
    (folder / "rgb").mkdir(parents=True)
    stamps = [f"{1305031100 + 0.1 * i:.4f}" for i in range(len(_POSES))]
    poses = []
    for i, (stamp, pose) in enumerate(zip(stamps, _POSES.values(), strict=True)):
        cv2.imwrite(str(folder / "rgb" / f"{stamp}.png"), _photo(i))
        numbers = (*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat())
        poses.append(f"{stamp} " + " ".join(f"{x:.12g}" for x in numbers))
    (folder / "groundtruth.txt").write_text("\n".join(poses) + "\n")
    (folder / "rgb.txt").write_text("".join(f"{stamp} rgb/{stamp}.png\n" for stamp in stamps))
    (folder / "calibration.txt").write_text("40 40 31.5 23.5\n")
    _mesh(folder / "mesh.ply")


def _phone(write, folder: Path) -> None:
    """As an app on a phone exports it."""
    faces = tiny_scan.ROOM_FACES[:, ::-1]
    pictures = [_photo(i) for i in range(len(_POSES))]
    write(folder, list(_POSES.values()), tiny_scan.INTRINSICS, pictures, Mesh(tiny_scan.ROOM_VERTICES, faces))


def _colmap_project(folder: Path) -> None:
    """As COLMAP's automatic reconstruction leaves it, the photos that it began with in `images/`."""
    _colmap(folder)
    _colmap(folder / "dense")
    (folder / "dense" / "mesh.ply").rename(folder / "dense" / "meshed-poisson.ply")
    for path in (folder / "dense" / "sparse" / "0").iterdir():
        path.rename(folder / "dense" / "sparse" / path.name)
    (folder / "mesh.ply").unlink()


def _photos(folder: Path) -> None:
    folder.mkdir(parents=True)
    for i in range(len(_POSES)):
        cv2.imwrite(str(folder / f"{i}.jpg"), _photo(i))


def _small_model(folder: Path) -> None:
    """As `scenetex train` leaves it."""
    save_pipeline(folder, tiny_training.tiny_pipeline())


def _depth_model(folder: Path) -> None:
    """Stable Diffusion with depth."""
    tiny_pipeline.make_pipeline(folder / "tokens", make_unet(**_FOUR)).save_pretrained(folder)


def _plain_model(folder: Path) -> None:
    """Stable Diffusion without depth."""
    make_panorama_pipeline(folder / "tokens", make_unet(in_channels=4, **_FOUR)).save_pretrained(folder)


def _depth_weights(file: Path) -> None:
    """Released multi-view weights around `_depth_model`'s UNet."""
    model = MultiViewUNet.from_unet(make_unet(**_FOUR))
    torch.save({"state_dict": {k: v.clone() for k, v in model.state_dict().items()}}, file)


def _panorama_weights(file: Path) -> None:
    """Released panorama weights around `_plain_model`'s UNet."""
    unet = make_unet(in_channels=4, **_FOUR)
    config = {k: v for k, v in unet.config.items() if not k.startswith("_")}
    bare = MultiViewUNet(config, kind="panorama", residual_blocks=False, condition_channels=0, unet=unet)
    save_file({k: v.contiguous() for k, v in bare.state_dict().items()}, file)


def _control(folder: Path) -> None:
    """A depth ControlNet for `_plain_model`."""
    ControlNetModel.from_unet(make_unet(in_channels=4, **_FOUR), conditioning_channels=3).save_pretrained(folder)


def _ip_adapter(folder: Path) -> None:
    """Image prompts for `_plain_model`."""
    write_ip_adapter(make_unet(in_channels=4, **_FOUR), folder)


_KINDS = {
    "scan": _scan,
    "mapped": _mapped,
    "mesh": _mesh,
    "photos": _photos,
    "release": _release,
    "capture": _capture,
    "colmap": _colmap,
    "colmap-project": _colmap_project,
    "tum": _tum,
    "polycam": partial(_phone, phone_scans.write_polycam),
    "scanner-app": partial(_phone, phone_scans.write_scanner_app),
    "record3d": partial(_phone, phone_scans.write_record3d),
    "small-model": _small_model,
    "depth-model": _depth_model,
    "plain-model": _plain_model,
    "depth-weights": _depth_weights,
    "panorama-weights": _panorama_weights,
    "control": _control,
    "ip-adapter": _ip_adapter,
}
