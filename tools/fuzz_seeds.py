"""Valid small files of every kind the readers know, made in memory: where mutations start from."""

import base64
import io
import json
import struct
import zlib

import cv2
import numpy as np
import trimesh

# A floor of two triangles, seen from two places.
_VERTICES = np.array([[0.0, 0, 0], [3, 0, 0], [3, 2, 0.5], [0, 2, 0.5]])
_FACES = np.array([[0, 1, 2], [0, 2, 3]])
_COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
_POSE = np.array([[1.0, 0, 0, 0.25], [0, 0, 1, -2], [0, -1, 0, 1.5], [0, 0, 0, 1]])
_INTRINSICS = np.array([[30.0, 0, 15.5, 0], [0, 30, 11.5, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
SIZE = (32, 24)
PHOTO = np.linspace(0, 255, 32 * 24 * 3).astype(np.uint8).reshape(24, 32, 3)
DEPTH = np.linspace(500, 4000, 32 * 24).astype("<u2").reshape(24, 32)


def ply_seeds() -> tuple[bytes, ...]:
    mesh = trimesh.Trimesh(_VERTICES, _FACES, vertex_colors=_COLORS, process=False)
    polygons = [[0, 1, 2], [0, 1, 2, 3]]
    seeds = [mesh.export(file_type="ply", encoding=encoding) for encoding in ("ascii", "binary")]
    for order, name in (("<", "little"), (">", "big")):
        head = f"ply\nformat binary_{name}_endian 1.0\nelement vertex 4\nproperty double x\nproperty double y\n"
        head += "property double z\nelement face 2\nproperty list uchar int vertex_index\nproperty short flag\n"
        head += "end_header\n"
        body = _VERTICES.astype(order + "f8").tobytes()
        for polygon in polygons:
            body += bytes([len(polygon)]) + np.array(polygon, order + "i4").tobytes() + b"\0\7"
        seeds.append(head.encode() + body)
    text = "ply\nformat ascii 1.0\ncomment x\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    text += "element face 2\nproperty list uchar uint vertex_indices\nend_header\n"
    text += "".join("{} {} {}\n".format(*vertex) for vertex in _VERTICES)
    text += "".join(f"{len(p)} {' '.join(map(str, p))}\n" for p in polygons)
    return (*seeds, text.encode())


PLY_WORDS = (
    *(b"ascii", b"binary_little_endian", b"binary_big_endian", b"element ", b"property ", b"list ", b"vertex", b"face"),
    *(b"char", b"uchar", b"short", b"ushort", b"int", b"uint", b"int64", b"uint64", b"float", b"double", b"end_header"),
    *(b"vertex_indices", b"x", b"red", b"property list uint64 uint64 a\n", b"element other 1000000000000\n"),
)


OBJ_SEEDS = (
    b"mtllib ../../x.mtl\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 .5\nvt 0 0\nvn 0 0 1\nusemtl a\nf 1/1/1 2/1/1 3//1\n"
    b"f 1 2 \\\n 3 4\nf -1 -2 -3\n",
    b"v 0 0 0 1 0 0\r\nv 1 0 0 0 1 0\r\nv 1 1 0 0 0 1\r\nf 1 2 3\r\n",
)
OBJ_WORDS = (b"v ", b"f ", b"vt ", b"vn ", b"\nv ", b"\nf ", b"/", b"//", b"\\\n", b"#", b"-1", b"mtllib /x\n")


def glb_seeds() -> tuple[bytes, ...]:
    mesh = trimesh.Trimesh(_VERTICES, _FACES, vertex_colors=_COLORS, process=False)
    scene = trimesh.Scene(mesh)
    scene.add_geometry(trimesh.creation.box(), transform=trimesh.transformations.translation_matrix([5, 0, 0]))
    return trimesh.Scene(mesh).export(file_type="glb"), scene.export(file_type="glb")


def gltf_seeds() -> tuple[bytes, ...]:
    """A node tree with instances, bones, a fan, integer and sparse positions, all in one file."""
    data = np.array(_VERTICES, "<f4").tobytes() + np.array([0, 1, 2, 2, 1, 3, 0, 0], "<u2").tobytes()
    data += np.tile(np.eye(4, dtype="<f4").reshape(-1), 2).tobytes() + bytes([0, 1, 0, 0]) * 4
    spans = (0, 48), (48, 16), (64, 128), (192, 16)
    views = [{"buffer": 0, "byteOffset": at, "byteLength": size} for at, size in spans]
    sparse = {"count": 3, "indices": {"bufferView": 1, "componentType": 5123}, "values": {"bufferView": 0}}
    vertices = {"bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 4}
    accessors = [
        vertices,
        {"bufferView": 1, "componentType": 5123, "type": "SCALAR", "count": 6},
        {"bufferView": 0, "componentType": 5122, "type": "VEC3", "count": 4, "normalized": True},
        {"componentType": 5126, "type": "VEC3", "count": 4, "sparse": sparse},
        {"bufferView": 2, "componentType": 5126, "type": "MAT4", "count": 2},
        {"bufferView": 3, "componentType": 5121, "type": "VEC4", "count": 4},
        {"bufferView": 0, "componentType": 5121, "type": "VEC4", "count": 4, "normalized": True},
    ]
    bound = {"POSITION": 0, "JOINTS_0": 5, "WEIGHTS_0": 6, "COLOR_0": 6}
    parts = [
        {"attributes": {"POSITION": 0, "COLOR_0": 6}, "indices": 1, "targets": [{"POSITION": 0}]},
        {"attributes": {"POSITION": 2}, "mode": 6},
        {"attributes": {"POSITION": 3}, "mode": 5},
    ]
    copies = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": 0, "SCALE": 0}}}
    tree = {
        "asset": {"version": "2.0"},
        "extensionsRequired": ["KHR_mesh_quantization"],
        "buffers": [{"byteLength": len(data), "uri": f"data:a/b;base64,{base64.b64encode(data).decode()}"}],
        "bufferViews": views,
        "accessors": accessors,
        "meshes": [{"primitives": parts, "weights": [0.5]}, {"primitives": [{"attributes": bound, "indices": 1}]}],
        "skins": [{"joints": [0, 2], "inverseBindMatrices": 4}],
        "nodes": [
            {"mesh": 0, "extensions": copies, "children": [1, 2], "rotation": [0, 0, 0.6, 0.8]},
            {"mesh": 1, "skin": 0, "scale": [1, 2, -1]},
            {"matrix": np.eye(4).reshape(-1).tolist()},
        ],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }
    return (json.dumps(tree).encode(),)


GLTF_WORDS = (
    b'"normalized": true',
    b'"byteStride": 1',
    b'"sparse": {}',
    b'"mode": 6',
    b"EXT_meshopt_compression",
    b"../a",
)


def stl_seeds() -> tuple[bytes, ...]:
    mesh = trimesh.Trimesh(_VERTICES, _FACES, process=False)
    return mesh.export(file_type="stl"), mesh.export(file_type="stl_ascii").encode()


def npy_seeds() -> tuple[bytes, ...]:
    seeds = []
    for image in (DEPTH.astype(np.float32) / 1000, np.asfortranarray(DEPTH), DEPTH[..., None].astype(">f8")):
        file = io.BytesIO()
        np.save(file, image)
        seeds.append(file.getvalue())
    return tuple(seeds)


def sens_seeds() -> tuple[bytes, ...]:
    def stream(color_kind: int, depth_kind: int, color: bytes, depth: bytes) -> bytes:
        out = struct.pack("<IQ", 4, 6) + b"sensor"
        for matrix in (_INTRINSICS, np.eye(4), _INTRINSICS, np.eye(4)):
            out += matrix.astype("<f4").tobytes()
        out += struct.pack("<2i4IfQ", color_kind, depth_kind, *SIZE, *SIZE, 1000.0, 2)
        for pose in (_POSE, np.full((4, 4), -np.inf)):
            out += pose.astype("<f4").tobytes() + struct.pack("<4Q", 1, 2, len(color), len(depth)) + color + depth
        return out + struct.pack("<Q", 0)

    return (
        stream(2, 1, encoded(".jpg", PHOTO), zlib.compress(DEPTH.tobytes())),
        stream(0, 0, PHOTO.tobytes(), DEPTH.tobytes()),
        stream(2, 1, b"", zlib.compress(DEPTH.tobytes())),
    )


COLMAP_CAMERAS = b"# cameras\n1 PINHOLE 32 24 30 30 16 12\n2 OPENCV 32 24 30 30 16 12 0.01 0 0 0\n"


def colmap_images() -> tuple[bytes, ...]:
    out = struct.pack("<Q", 2)
    for i in range(2):
        out += struct.pack("<I7dI", i + 1, 0.707107, 0.707107, 0, 0, -0.25, 1.5, 2, 1) + f"{i}.jpg".encode() + b"\0"
        out += struct.pack("<QddQ", 1, 3.5, 4.5, 2**64 - 1)
    return (out,)


TUM_SEEDS = (
    b"# time tx ty tz qx qy qz qw\n0.99 0.25 -2 1.5 0.7071 0 0 0.7071\n1.01 0.25 -2 1.5 0.7071 0 0 0.7071\n"
    b"2.0,0.3,-2,1.5,0.7071,0,0,0.7071\n",
)


def matrix_seeds() -> tuple[bytes, ...]:
    def text(matrix: np.ndarray) -> bytes:
        return "\n".join(" ".join(f"{x:.6g}" for x in row) for row in matrix).encode()

    return text(_POSE), text(_INTRINSICS), text(_INTRINSICS[:3, :3]), text(np.full((4, 4), -np.inf))


INFO_SEEDS = (
    b"appVersionId = 299\naxisAlignment = 0 -1 0 2 1 0 0 -1 0 0 1 0.1 0 0 0 1\ncolorHeight = 968\ncolorWidth = 1296\n"
    b"depthHeight = 480\ndepthWidth = 640\nfx_color = 1170.187988\n",
    b"colorWidth=32\r\ncolorHeight=24\r\n",
)


def transforms_seeds() -> tuple[bytes, ...]:
    flip = np.diag([1.0, -1, -1, 1])
    frames = [
        {"file_path": f"{i}.jpg", "depth_file_path": f"{i}.png", "transform_matrix": (_POSE @ flip).tolist()}
        for i in range(2)
    ]
    common = {"fl_x": 30.0, "fl_y": 30.0, "cx": 16.0, "cy": 12.0, "w": 32, "h": 24, "k1": 0.01, "mesh": "mesh.ply"}
    plain = {"camera_angle_x": 0.9, "camera_model": "OPENCV", "frames": [frames[0] | {"file_path": "./0"}]}
    return tuple(json.dumps(tree).encode() for tree in (common | {"frames": frames}, plain))


TRANSFORMS_WORDS = (
    *(b'"k1": ', b'"w": ', b'"camera_angle_x": ', b'"depth_unit_scale_factor": ', b'"ply_file_path": "mesh.ply",'),
    *(b'"k4": 1,', b'"mesh": "../../x.ply",', b'"transform_matrix": ', b"null", b"NaN", b"Infinity", b"[", b"{", b"}"),
)


def _arkit_pose() -> np.ndarray:
    return _POSE @ np.diag([1.0, -1, -1, 1])


def polycam_camera() -> bytes:
    pose = {f"t_{r}{c}": float(_arkit_pose()[r, c]) for r in range(3) for c in range(4)}
    camera = {"fx": 30.0, "fy": 30.0, "cx": 16.0, "cy": 12.0, "width": SIZE[0], "height": SIZE[1], "blur_score": 80.0}
    return json.dumps(camera | pose).encode()


MESH_INFO = json.dumps({"faceCount": 12, "alignmentTransform": np.eye(4).ravel().tolist()}).encode()


def record3d_metadata() -> tuple[bytes, ...]:
    poses = [[0.0, 0.0, 0.6, 0.8, 1.0, 2.0, 3.0], [0, 0, 0, 1, 1, 2, 3]]
    common = {"w": SIZE[0], "h": SIZE[1], "fps": 60, "poses": poses}
    shared = common | {"K": [30.0, 0, 0, 0, 30.0, 0, 16.0, 12.0, 1]}
    return tuple(
        json.dumps(tree).encode() for tree in (shared, common | {"perFrameIntrinsicCoeffs": [[30.0, 30, 16, 12]] * 2})
    )


def scanner_app_frame() -> bytes:
    intrinsics = [30.0, 0, 16.0, 0, 30.0, 12.0, 0, 0, 1]
    frame = {"cameraPoseARFrame": _arkit_pose().ravel().tolist(), "intrinsics": intrinsics, "frame_index": 0}
    return json.dumps(frame).encode()


PHONE_WORDS = (
    *(b'"w": ', b'"width": ', b'"fx": ', b'"t_03": ', b'"poses": ', b'"K": ', b'"alignmentTransform": ', b"1e400"),
    *(b"null", b"NaN", b"Infinity", b"1e308", b"9" * 400, b"true", b"[", b"{", b"}"),
)


CAMERAS = json.dumps(
    {
        str(i): {
            **{"width": SIZE[0], "height": SIZE[1], "keyframe": True},
            **{"intrinsics": _INTRINSICS[:3, :3].tolist(), "cam_to_world": _POSE.tolist()},
        }
        for i in range(2)
    }
).encode()


def encoded(suffix: str, image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def photo_seeds() -> tuple[bytes, ...]:
    progressive = encoded(".jpg", PHOTO, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    return (*(encoded(f".{suffix}", PHOTO) for suffix in ("jpg", "png", "webp", "bmp", "tiff", "ppm")), progressive)


def depth_seeds() -> tuple[bytes, ...]:
    flat = encoded(".png", np.full((24, 32), 1000, np.uint16))
    return encoded(".png", DEPTH), flat, zlib.compress(DEPTH.tobytes()), DEPTH.tobytes()


def square_seeds() -> tuple[bytes, ...]:
    square = np.ascontiguousarray(PHOTO[:, :24])
    return tuple(encoded(suffix, square) for suffix in (".jpg", ".png"))


LIST_SEEDS = (b"# rooms\nscene0000_00\nscene0001_00  # good\n\n", b"a/b\r\nc\nd\n")


def stage_seeds() -> tuple[bytes, ...]:
    seeds = []
    for save in (np.savez, np.savez_compressed):
        file = io.BytesIO()
        save(file, uv=np.zeros((6, 2), np.float32), page=np.arange(6, dtype=np.int32), size=np.asarray(64))
        seeds.append(file.getvalue())
    return tuple(seeds)
