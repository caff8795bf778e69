"""Draws which package stands on which, from the code's own imports, into docs/pictures/architecture.svg.

An arrow leads from a package to one that it imports. Those that follow from others are left out: where cli imports
job and job imports scene, there is no arrow from cli to scene. Imports that close a circle are red. Rows and order are
those of layered graphs (Sugiyama et al. 1981).
"""

import ast
import sys
import textwrap
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "architecture.svg"
LEFT_OUT = {"__init__", "__main__", "version"}  # the face, the way in, a number
BOX, GAP = (186, 84), (14, 34)  # (width, height) of a box, and between boxes, pixels
LINE, LETTERS, LINES = 13, 29, 4  # pixels between lines of a box's text, letters in each, and how many there are
THIN = 4  # pixels that an arrow has for itself in the rows that it passes
SWEEPS = 8  # times that rows are put in order, up and down
INK = "#556677"
# What all others import is one box, without arrows.
GROUND = frozenset({"errors", "limits", "files", "process", "bundled"})

Stop = tuple[str, str]  # a part and "", or a place that an arrow passes: the part it comes from, and where it leads


def parts() -> dict[str, list[Path]]:
    """Files of each package of scenetex, and of each module that stands beside them."""
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "scenetex").rglob("*.py")):
        inside = path.relative_to(ROOT / "scenetex").with_suffix("").parts
        found.setdefault(inside[0], []).append(path)
    return {name: files for name, files in found.items() if name not in LEFT_OUT}


def imports() -> dict[str, set[str]]:
    """For each part those that it imports: anywhere in its files, inside functions and for type checkers, too."""
    known = parts()
    return {name: set().union(*map(targets, files)) & known.keys() - {name} for name, files in known.items()}


def targets(path: Path) -> set[str]:
    """First names below scenetex of all that a file imports from there."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        found |= {name[1] for name in names if name[0] == "scenetex" and len(name) > 1}
    return found


def circles(edges: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Imports that lead back to a part which is on the way already, from the top down."""
    back, done = set(), set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        done.add(name)
        for other in sorted(edges[name]):
            if other in way:
                back.add((name, other))
            elif other not in done:
                visit(other, (*way, other))

    for name in sorted(edges, key=lambda name: (sum(name in others for others in edges.values()), name)):
        if name not in done:
            visit(name, (name,))
    return back


def levels(edges: dict[str, set[str]]) -> dict[str, int]:
    """The row of each part, from 0 on the ground: one above the highest that it imports."""

    @cache
    def level(name: str) -> int:
        return max((level(other) + 1 for other in edges[name]), default=0)

    return {name: level(name) for name in edges}


def routes(edges: list[tuple[str, str]], row: dict[str, int]) -> list[list[Stop]]:
    """Each arrow's stops, from the part that imports down to the other: one in every row between them."""
    return [
        [(one, ""), *((one, f"{other} {i}") for i in range(row[one] - 1, row[other], -1)), (other, "")]
        for one, other in edges
    ]


def order(ways: list[list[Stop]], row: dict[str, int]) -> list[list[Stop]]:
    """The stops of every row from left to right, near those that they are joined to."""
    found: list[list[Stop]] = [[] for _ in range(max(row.values()) + 1)]
    for name in sorted(row):
        found[row[name]].append((name, ""))
    near: dict[Stop, list[Stop]] = {stop: [] for stops in found for stop in stops}
    for way in ways:
        for i, stop in enumerate(way[1:-1], 1):
            found[row[way[0][0]] - i].append(stop)
        for upper, lower in pairwise(way):
            near.setdefault(upper, []).append(lower)
            near.setdefault(lower, []).append(upper)
    place = {stop: i / max(len(stops) - 1, 1) for stops in found for i, stop in enumerate(stops)}
    for _ in range(SWEEPS):
        for stops in (*found, *reversed(found)):
            stops.sort(key=lambda stop: sum(place[o] for o in near[stop]) / max(len(near[stop]), 1))
            place |= {stop: (i + 0.5) / len(stops) for i, stop in enumerate(stops)}
    return found


def needed(edges: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The imports that do not follow from others."""

    @cache
    def below(name: str) -> frozenset[str]:
        return frozenset(edges[name]).union(*map(below, edges[name]))

    return [
        (name, other)
        for name in sorted(edges)
        for other in sorted(edges[name])
        if not any(other in below(third) for third in edges[name])
    ]


def summary(name: str, letters: int = LETTERS) -> list[str]:
    """What a part is for: the start of its docstring, in lines."""
    home = ROOT / "scenetex" / name
    home = home / "__init__.py" if home.is_dir() else home.with_suffix(".py")
    first = (ast.get_docstring(ast.parse(home.read_text("utf-8"))) or "").split("\n\n")[0]
    return textwrap.wrap(first.rstrip(".?"), letters, max_lines=LINES, placeholder=" ...")


def arrow(way: list[Stop], corner: dict[Stop, tuple[float, float]]) -> str:
    """The path of an arrow: straight through the rows between, bent between rows."""
    (width, height), between = BOX, GAP[1]
    x, y = corner[way[0]][0] + width / 2, corner[way[0]][1] + height
    path = [f"M{x:g} {y:g}"]
    for stop in way[1:]:
        u, v = corner[stop][0] + (THIN if stop[1] else width) / 2, corner[stop][1]
        path.append(f"C{x:g} {y + between / 2:g} {u:g} {v - between / 2:g} {u:g} {v:g}")
        x, y = u, v + height
        if stop[1]:
            path.append(f"V{y:g}")
    return " ".join(path)


def draw() -> str:
    """The picture, as the text of an SVG."""
    edges = {name: others - GROUND for name, others in imports().items() if name not in GROUND}
    back = circles(edges)
    down = {name: {other for other in others if (name, other) not in back} for name, others in edges.items()}
    row = levels(down)
    ways = routes(needed(down), row)
    stops = order(ways, row)
    (width, height), (across, between) = BOX, GAP
    widths = [sum((THIN if s[1] else width) + across for s in some) + across for some in stops]
    whole = max(widths), (len(stops) + 1) * (height + between) + between + LINE
    corner: dict[Stop, tuple[float, float]] = {}
    for i, some in enumerate(reversed(stops)):
        x = (whole[0] - widths[-1 - i]) / 2 + across
        for stop in some:
            corner[stop] = x, between + i * (height + between)
            x += (THIN if stop[1] else width) + across
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole[0]} {whole[1]}" font-family="sans-serif">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{INK}"/></marker></defs>',
        f'<rect width="{whole[0]}" height="{whole[1]}" fill="white"/>',
    ]
    for way, ink in [(way, INK) for way in ways] + [([(one, ""), (other, "")], "red") for one, other in sorted(back)]:
        lines.append(
            f'<path d="{arrow(way, corner)}" fill="none" stroke="{ink}" stroke-width="1.5" marker-end="url(#tip)">'
            f"<title>{way[0][0]} imports {way[-1][0]}</title></path>"
        )
    for (name, through), place in corner.items():
        lines += [] if through else box(name, summary(name), place, BOX)
    x, y = across, between + len(stops) * (height + between)
    ground = [f"{name}: {' '.join(summary(name, whole[0]))}" for name in sorted(GROUND)]
    lines += box("what all others stand on", ground, (x, y), (whole[0] - 2 * x, height + LINE))
    return "\n".join([*lines, "</svg>"]) + "\n"


def box(title: str, text: list[str], place: tuple[float, float], size: tuple[float, float]) -> list[str]:
    """A box with a title and lines of text."""
    (x, y), (width, height) = place, size
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="#eef3f8" stroke="{INK}"/>',
        f'<text x="{x + 10:g}" y="{y + 20:g}" font-size="15" font-weight="bold">{title}</text>',
        *(
            f'<text x="{x + 10:g}" y="{y + 37 + LINE * i:g}" font-size="11">{escape(line)}</text>'
            for i, line in enumerate(text)
        ),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(f"{sys.argv[0]} takes no arguments; it writes {PICTURE.relative_to(ROOT)}")
    PICTURE.write_text(draw())
    print(f"wrote {PICTURE.relative_to(ROOT)}")
