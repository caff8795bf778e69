"""The page of one scene: its model in a viewer, its frames, atlas, times and settings, in one HTML file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..job.result_folder import GLB, OBJ, PREVIEW, REPORT
from ..job.run import Result
from ..texture.sources import in_false_colors
from ..texture.textured_mesh import TexturedMesh
from .frames import frame_pictures, shown_frames
from .html import document, encode_jpeg, encode_page, picture_uri, table, text
from .model import pack_cameras, pack_model, pack_pages
from .preview import dollhouse_camera, page_picture, short, smooth_render, source_legend

_FILES = {GLB: "GLB", OBJ: "OBJ", PREVIEW: "Preview"}
PAGE, THUMBNAIL = "report.html", "thumbnail.jpg"
_MOST_PAGES = 9
_SOURCES_SIDE = 1024  # of a square that all pages in false colours together may fill
Report = dict | Callable[[], dict]
_THUMBNAIL_SIZE = (480, 360)


def write_page(folder: Path, result: Result, report: Report, done: Callable[[], None] = lambda: None) -> None:
    """Writes `report.html`, which needs no other file and no network, and `thumbnail.jpg` for the index.

    The page holds at most 30 keyframes of 640 pixels and textures of 2,048 x 2,048 texels in all: with 700,000 faces
    it stays below some 15 MB.

    Args:
        folder: where to; other files of the result that are there are linked.
        result: what to show.
        report: about it: `summarize` and `about_run` together, or what gives that; asked last of all,
            it knows how long the run has taken.
        done: called after each frame; `len(shown_frames(result.keyframe))` times.
    """
    links = {name: label for name, label in _FILES.items() if (folder / name).is_file()}
    page = scene_page(result, report, links | {REPORT: "JSON"}, done)
    (folder / PAGE).write_bytes(encode_page(page))
    size = _THUMBNAIL_SIZE
    thumbnail = smooth_render(result.mesh, *dollhouse_camera(result.mesh, size), size, True)
    (folder / THUMBNAIL).write_bytes(encode_jpeg(thumbnail, 85))


def scene_page(result: Result, report: Report, links: dict[str, str], done: Callable[[], None] = lambda: None) -> str:
    """The page as HTML; `links`: other files by their paths, with what to call them; the rest as in `write_page`."""
    shown = shown_frames(result.keyframe)
    marked = in_false_colors(result.mesh)
    model = pack_model(result.mesh) | {"sources": pack_pages(marked, _SOURCES_SIDE)}
    frames = frame_pictures(result.mesh, result.views, result.images, shown, done)
    data = {
        "model": model,
        "cameras": pack_cameras(result.views, model["middle"]),
        # The camera that looks farthest into the room.
        "inside": int(np.argmax(result.views.depth.mean((1, 2)))),
        "frames": frames["frames"],
    }
    report = report() if callable(report) else report
    kind = "photo" if report["settings"]["images"] == "photos" else "generated image"
    body = "\n".join(
        [
            _header(report, links),
            _VIEWER.format(legend=_legend(result)),
            _warnings(report),
            _facts(report),
            _frames(frames, kind, len(shown), report["keyframes"]),
            '<div class="columns">',
            _atlas(result, marked),
            _times(report),
            _section("Settings", report["settings"].items()),
            f"<div>{_section('Result', _details(report))}{_section('Versions', report['versions'].items())}</div>",
            "</div>",
        ]
    )
    scripts = ("viewer.js", "controls.js", "compare.js", "page.js")
    return document(f"{title(report)} – scenetex", body, scripts, data)


def title(report: dict) -> str:
    """What a result is called: its scene, and its own name where it has one."""
    return report["scene"] if report.get("name") is None else f"{report['scene']}-{report['name']}"


def described(report: dict) -> str:
    """What a scene was painted with, as HTML."""
    if "prompt" not in report:
        return f"from {text(report.get('images', 0))} photos"
    return f"“{text(report['prompt'])}” by {text(report.get('model'))}"


_VIEWER = """<div id="stage">
<canvas id="canvas" tabindex="0" aria-label="The textured model"></canvas>
<div id="says">Unpacking the model …</div>
<div class="tools">
<div><button id="outside" aria-pressed="true">From above</button><button id="inside" aria-pressed="false">Inside</button></div>
<div><button id="turning" aria-pressed="true">Turn</button><button id="walls" aria-pressed="true"
 title="Leave out what turns its back: walls and ceiling between you and the room">Cutaway</button><button
 id="cameras" aria-pressed="false">Cameras</button><button id="sources" aria-pressed="false"
 title="Where the colours come from">Sources</button><button id="whole">Full screen</button></div>
</div>
<p class="legend" id="legend" hidden>{legend}</p>
</div>
<p class="faint mouse">Drag to turn, right-drag to move, W A S D to walk. Click, then scroll to zoom.</p>
<p class="faint touch">Drag to turn, two fingers to move and zoom.</p>
<noscript><p>The viewer and the frames need JavaScript.</p></noscript>"""  # noqa: E501


def _header(report: dict, links: dict[str, str]) -> str:
    anchors = (f'<a href="{path}">{label}</a>' for path, label in ({"../index.html": "All scenes"} | links).items())
    return (
        f'<header><div><h1>{text(title(report))}</h1><p class="prompt">{described(report)}</p></div>'
        f'<div class="links">{"".join(anchors)}</div></header>'
    )


def _warnings(report: dict) -> str:
    """What the checks found; nothing for a sound scene."""
    found = (report.get("checks") or {}).get("findings", ())
    items = "".join(f"<li>{text(finding['message'])}</li>" for finding in found)
    return f'<section class="warnings"><h2>What does not fit</h2><ul>{items}</ul></section>' if items else ""


def _facts(report: dict) -> str:
    pages, side = report["texture_pages"], report["texture_size"]
    facts = [
        ("Texels seen", f"{100 * report['texels_seen']:.1f} <small>%</small>"),
        *_clipped(report.get("clipped_texels")),
        ("Textured faces", f"{report['faces_textured']:,}"),
        ("Keyframes", f"{report['keyframes']:,}"),
        ("Texture", f"{side:,}² <small>texels{f' × {pages}' if pages > 1 else ''}</small>"),
        ("Density", f"{short(report['texels_per_metre'])} <small>texels/m</small>"),
        ("Last run", f"{report['seconds']['total']:,.1f} <small>s</small>"),
        *(
            [("With reused stages", f"{report['seconds']['total_with_reused']:,.1f} <small>s</small>")]
            if report["reused"]
            else []
        ),
        ("Memory", f"{report['peak_memory_mb'] / 1024:.2f} <small>GB</small>"),
    ]
    return f'<dl class="facts">{"".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in facts)}</dl>'


def _clipped(share: dict | None) -> list[tuple[str, str]]:
    """How many texels are at an end of the scale, in the photos and in the texture; nothing where nobody counted."""
    if not isinstance(share, dict):
        return []
    before, after = (100 * share[name] for name in ("before", "after"))
    return [("Clipped, in photos and texture", f"{before:.1f} → {after:.1f} <small>%</small>")]


def _section(title: str, rows) -> str:
    return f"<section><h2>{title}</h2>{table(rows)}</section>"


def _compare(left: str, right: str, names: tuple[str, str]) -> str:
    """Two `img` tags with a line between them that can be moved, see compare.js."""
    left_name, right_name = map(text, names)
    label = f"{left_name} against {right_name}"
    return (
        f'<div class="compare">{left}{right}<i></i><span>{left_name}</span><span>{right_name}</span>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="{label}"></div>'
    )


def _frames(frames: dict, kind: str, shown: int, all_of_them: int) -> str:
    part = f"{shown} of {all_of_them}" if shown < all_of_them else f"{shown}"
    slider = _compare(
        f'<img id="image" alt="{kind.capitalize()}">', '<img id="render" alt="Baked">', (kind.capitalize(), "Baked")
    )
    colors = f'<img src="{frames["legend"]}" alt="">'
    legend = f'<span class="legend">{frames["near"]:.1f} m {colors} {frames["far"]:.1f} m</span>'
    return (
        f"<section><h2>Keyframes <small>{part}</small></h2>"
        f'<div class="pair"><figure>{slider}<figcaption><span>Frame <span id="frame"></span>: {kind}, and the textured '
        'mesh from the same camera</span></figcaption></figure><figure><img id="depth" alt="Depth">'
        f"<figcaption><span>Depth</span>{legend}</figcaption></figure></div>"
        '<div id="strip"></div><button class="plain" id="from">Look from here in the viewer</button></section>'
    )


def _atlas(result: Result, marked: TexturedMesh) -> str:
    pages = min(result.mesh.atlas.pages, _MOST_PAGES)
    side = 768 if pages == 1 else 512
    figures = []
    for page in range(pages):
        plain, sources = (
            f'<img src="{picture_uri(page_picture(textured, page, side), side)}" alt="">'
            for textured in (result.mesh, marked)
        )
        figures.append(f"<figure>{_compare(plain, sources, ('Colours', 'Sources'))}</figure>")
    part = f" <small>{pages} of {result.mesh.atlas.pages} pages</small>" if pages < result.mesh.atlas.pages else ""
    shown = f'<div class="pages pages{pages}">{"".join(figures)}</div>'
    return f'<section><h2>Atlas{part}</h2>{shown}<p class="legend">{_legend(result)}</p></section>'


def _legend(result: Result) -> str:
    """What the false colours of sources say."""
    return "".join(
        f'<span><i style="background:rgb{color}"></i>{text(words)}</span>'
        for words, color in source_legend(result.mesh)
    )


def _times(report: dict) -> str:
    times = {name: seconds for name, seconds in report["seconds"].items() if not name.startswith("total")}
    longest = max([*times.values(), 1e-3])
    rows = "".join(
        f'<b>{text(name)}</b><i style="--part:{100 * seconds / longest:.1f}%"></i><span>'
        f"{'from disk' if name in report['reused'] else f'{seconds:.1f} s'}</span>"
        for name, seconds in times.items()
    )
    title = "Time <small>unwrapping runs beside other stages</small>"
    return f'<section><h2>{title}</h2><div class="times">{rows}</div></section>'


def _details(report: dict) -> list[tuple[str, object]]:
    refinement = report["pose_refinement"]
    rows = [
        ("frames", f"{report['frames']:,}"),
        ("frames without tracking", f"{report['frames_without_tracking']:,}"),
        ("images baked", f"{report['images']:,}"),
        ("vertices", f"{report['vertices']:,}"),
        ("faces read", f"{report['faces']:,}"),
        ("left out: without area", f"{report['faces_without_area']:,}"),
        ("charts", f"{report['charts']:,}"),
        ("texels on charts", f"{report['texels']:,}"),
    ]
    checks = report.get("checks") or {}
    if closed := report.get("holes_closed"):
        rows.append(("holes closed", f"{closed['holes']:,}, {closed['faces']:,} faces, {closed['area']:.2f} m²"))
    if checks.get("frames_without_photo"):
        rows.append(("frames without photo", f"{checks['frames_without_photo']:,}"))
    if checks.get("photo_agreement") is not None:
        rows.append(("photos agree, of 1", f"{checks['photo_agreement']:.2f}, error {checks['photo_error']:.2f}"))
    if checks.get("depth_ratio") is not None:
        rows.append(("sensor depth over the mesh's", f"{checks['depth_ratio']:.3f}"))
    for k, level in enumerate(report.get("lods", ()), 1):
        rows.append((f"level of detail {k}", f"{level['faces']:,} faces, {level['texture_size']:,} texels"))
    if refinement:
        verdict = "accepted" if refinement["accepted"] else "not worth it"
        errors = f"{refinement['error_before']:.2f} → {refinement['error_after']:.2f}"
        rows.append(("camera refinement", f"{verdict}, error {errors}"))
    return rows + [("note", note) for note in report["notes"]]
