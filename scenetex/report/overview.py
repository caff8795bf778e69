"""The index of a folder of results: every scene with its picture and figures, and what failed and why."""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote
from warnings import warn

from ..errors import InputError, InputWarning
from ..files.json_file import read_object
from ..files.output import check_file, write_files
from ..files.reading import open_file
from ..files.seal import is_sealed, seal
from ..job.result_folder import ResultFolder
from .html import MADE_BY, document, encode_page, text
from .page import PAGE, THUMBNAIL, described

INDEX = "index.html"
_SORTING = (("name", "Name"), ("coverage", "Fewest texels seen first"), ("seconds", "Longest time first"))
_HEAD = 4096  # bytes of a page in which its maker stands
_FROM_DISK = "'self' file:"


def has_overview(output: Path) -> bool:
    """Whether `index.html` is as an earlier run has written it; one that was changed since is somebody's."""
    return is_sealed(output / INDEX)


def check_overview(output: Path, wanted: bool = True) -> None:
    """Whether an index can be written; one that is not `wanted` need not, but would be kept true.

    Raises:
        InputError: it is wanted, and there is an `index.html` that somebody else wrote or changed.

    Warns:
        InputWarning: it is not wanted, and there is one of ours that was changed.
    """
    page = output / INDEX
    if not os.path.lexists(page) or has_overview(output):
        return
    if wanted:
        check_file(page, ())
        raise InputError(
            f"{page}: is not of this version's making, or was changed since (it may be made by an earlier version); "
            "move it away, or delete it if so, or choose another output folder"
        )
    if _looks_ours(page):
        warn(
            InputWarning(
                f"{page}: was changed since scenetex wrote it, or an earlier version made it; it stays as it is. For a "
                "new one, move it away and add --report"
            ),
            stacklevel=2,
        )


def _looks_ours(page: Path) -> bool:
    try:
        with open_file(page) as file:
            return MADE_BY in file.read(_HEAD).decode("utf-8", "replace")
    except OSError:
        return False


def write_overview(output: Path) -> None:
    """Writes `index.html`: all results in the folder, whichever run made them, and all failures.

    Pictures and pages of the scenes are linked, so that an index of thousands stays light.

    Raises:
        InputError: it cannot be written, or there is a page that somebody else wrote or changed.
    """
    check_overview(output)
    write_files({output / INDEX: seal(encode_page(overview_page(output)))})


def overview_page(output: Path) -> str:
    """The index as HTML. Reports that cannot be read are left out; what they hold counts as other people's text."""
    results, failures = _results(output), _failures(output)
    title = os.path.basename(os.path.realpath(output)) or "Results"
    parts = [
        f'<header><div><h1>{text(title)}</h1><p class="prompt">Textured scenes</p></div></header>',
        _facts([report for _, report in results], len(failures)),
    ]
    if failures:
        parts.append(f"<h2>Failed</h2>{''.join(_failure(*found) for found in failures)}")
    if len(results) > 1:
        choices = "".join(f'<option value="{key}">{label}</option>' for key, label in _SORTING)
        parts.append(
            '<div class="sorting"><input id="filter" type="search" placeholder="Find a scene or prompt" '
            f'aria-label="Find"><select id="sort" aria-label="Sort">{choices}</select></div>'
        )
    parts.append(f'<div class="tiles" id="tiles">{"".join(_tile(*found) for found in results)}</div>')
    return document(f"{title} – scenetex", "\n".join(parts), ("index.js",), pictures=_FROM_DISK)


def _results(output: Path) -> list[tuple[Path, dict]]:
    """Folders of results, by name, and their reports."""
    reports = ((folder, ResultFolder(folder).known_report()) for folder in _folders(output))
    return [(folder, report) for folder, report in reports if report is not None]


def _failures(output: Path) -> list[tuple[Path, dict]]:
    """Folders that tell of failures, by name, and what they tell."""
    found = []
    for folder in _folders(output):
        with suppress(OSError, ValueError):
            if folder.name.endswith(".failed"):
                found.append((folder, read_object(folder / "failed.json")))
    return found


def _folders(output: Path) -> list[Path]:
    return sorted(path for path in output.glob("[!.]*") if path.is_dir())


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _seconds(report: dict, last: bool = False) -> float:
    """What making the result took, with what it has reused; or its last run alone."""
    seconds = report.get("seconds")
    if not isinstance(seconds, dict):
        return math.nan
    return _number(seconds.get("total") if last else seconds.get("total_with_reused", seconds.get("total")))


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _facts(reports: list[dict], failed: int) -> str:
    facts = [("Scenes", f"{len(reports):,}"), ("Failed", f"{failed:,}")]
    if covered := _known(_number(report.get("coverage")) for report in reports):
        facts.append(("Mean texels seen", f"{100 * sum(covered) / len(covered):.1f} <small>%</small>"))
    if spent := _known(map(_seconds, reports)):
        facts.append(("Mean time", f"{sum(spent) / len(spent):.1f} <small>s</small>"))
    return f'<dl class="facts">{"".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in facts)}</dl>'


def _failure(folder: Path, about: dict) -> str:
    name = about.get("scene", folder.name)
    log = f'<a href="{quote(os.fsencode(folder.name))}/log.txt">Log</a>' if (folder / "log.txt").is_file() else ""
    return (
        f'<div class="failure"><strong>{text(name)}</strong> <em>in stage {text(about.get("stage", "?"))}</em> {log}'
        f"<p>{text(about.get('message', ''))}</p></div>"
    )


def _tile(folder: Path, report: dict) -> str:
    """A scene, linked to its page where that is there."""
    seen, seconds = _number(report.get("coverage")), _seconds(report)
    last = _seconds(report, last=True)
    link = quote(os.fsencode(folder.name))
    picture = '<span class="none">made without --report</span>'
    if (folder / THUMBNAIL).is_file():
        picture = f'<img src="{link}/{THUMBNAIL}" alt="" loading="lazy">'
    figures = [
        f"{100 * seen:.1f} % seen" if math.isfinite(seen) else "",
        f"{seconds:,.1f} s" if math.isfinite(seconds) else "",
        f"{last:,.1f} s of it in the last run" if last < seconds else "",
    ]
    body = (
        f"{picture}<div><strong>{text(folder.name)}</strong><p>{described(report)}</p>"
        f"<p>{' · '.join(filter(None, figures))}</p></div>"
    )
    about = f'class="tile" data-coverage="{seen:.5f}" data-seconds="{seconds:.3f}"'
    if (folder / PAGE).is_file():
        return f'<a {about} href="{link}/{PAGE}">{body}</a>'
    return f"<span {about}>{body}</span>"
