"""The index: every result and every failure of the folder, whoever wrote what about them."""

import json
import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
import tiny_scan
from painted_report import HOSTILE
from test_report_html import Reader

from scenetex.cli import texture as texture_command
from scenetex.files.output import InputError
from scenetex.report.overview import has_overview, overview_page, write_overview


def add(output: Path, name: str, report: object, *files: str) -> Path:
    folder = output / name
    folder.mkdir(parents=True)
    data = report if isinstance(report, str) else json.dumps(report)
    (folder / ("failed.json" if name.endswith(".failed") else "report.json")).write_text(data)
    for file in files:
        (folder / file).write_text("")
    return folder


def values(page: str, name: str) -> list[str]:
    return [value for key, value in Reader(page).attributes if key == name]


def test_results_and_failures_are_listed(tmp_path):
    add(tmp_path, "b", {"coverage": 0.5, "seconds": {"total": 3}, "images": 7}, "report.html", "thumbnail.jpg")
    add(tmp_path, "a", {"coverage": 0.7, "seconds": {"total": 4}, "prompt": "a den", "model": "mini"}, "report.html")
    add(tmp_path, "c", {})
    add(tmp_path, "d.failed", {"scene": "d", "stage": "unwrap", "message": "no faces"}, "log.txt")
    add(tmp_path, ".stages", {})
    page = overview_page(tmp_path)
    assert [h for h in values(page, "href") if h != "data:,"] == ["d.failed/log.txt", "a/report.html", "b/report.html"]
    assert values(page, "src") == ["b/thumbnail.jpg"]
    assert values(page, "data-coverage") == ["0.70000", "0.50000", "nan"]
    for said in (
        "unwrap",
        "no faces",
        "“a den” by mini",
        "from 7 photos",
        "60.0 <small>%",
        "3.5 <small>s",
        "50.0 % seen",
    ):
        assert said in page
    assert page.count('class="tile"') == 3


@pytest.mark.parametrize(
    "report",
    [
        "",
        "{",
        "[1]",
        "null",
        '{"coverage": "x", "seconds": 3}',
        '{"seconds": {"total": []}, "coverage": NaN}',
        '{"a": 1e999}',
    ],
)
def test_reports_of_any_shape_do_no_harm(tmp_path, report):
    add(tmp_path, "odd", report)
    add(tmp_path, "odd.failed", report)
    add(tmp_path, "good", {"coverage": 0.25, "seconds": {"total": 1.0}})
    page = overview_page(tmp_path)
    assert "25.0 <small>%" in page and "1.0 <small>s" in page and "<strong>good</strong>" in page


def test_hostile_names_and_reports_stay_text(tmp_path):
    name = HOSTILE.replace("/", "∕")
    add(tmp_path, name, {"prompt": HOSTILE, "model": HOSTILE}, "report.html", "thumbnail.jpg")
    add(tmp_path, "x.failed", {"scene": HOSTILE, "stage": HOSTILE, "message": HOSTILE})
    read = Reader(overview_page(tmp_path))
    assert "img" in read.tags and read.tags.count("img") == 1 and read.tags.count("script") == 1
    (link,) = [value for key, value in read.attributes if key == "href" and "report" in value]
    assert unquote_to_bytes(link) == os.fsencode(f"{name}/report.html")
    assert read.inside["em"].strip() == f"in stage {HOSTILE}"


def test_names_that_are_no_text(tmp_path):
    try:
        add(tmp_path, os.fsdecode(b"caf\xe9"), {"coverage": 1.0}, "report.html")
    except OSError:
        pytest.skip("this file system takes only names that are text")
    write_overview(tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="caf%E9/report.html"' in page and "<strong>caf?</strong>" in page


def test_an_index_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(InputError, match=r"index\.html"):
        write_overview(tmp_path)


def test_the_command_writes_pages_and_index(tmp_path, capsys):
    for name, faces in (("good", tiny_scan.ROOM_FACES[:, ::-1]), ("bad", tiny_scan.ROOM_FACES[:0])):
        scan = tiny_scan.write_extracted(tmp_path / name)
        tiny_scan.write_ply(next(scan.glob("*.ply")), faces=faces)
    quick = ["--texture-size", "64", "--no-preview", "--formats", "obj", "--quiet", "--output", str(tmp_path / "out")]
    scenes = [str(tmp_path / "good"), str(tmp_path / "bad")]
    assert texture_command.main([*scenes, *quick]) == 1
    assert not (tmp_path / "out" / "index.html").exists()
    assert texture_command.main([*scenes, *quick, "--report"]) == 1
    said = capsys.readouterr()
    assert str(tmp_path / "out" / "index.html") in said.out
    good = tmp_path / "out" / "good"
    report = json.loads((good / "report.json").read_text())
    assert {"report.html", "thumbnail.jpg"} <= set(report["files"]) and report["seconds"]["report"] > 0
    assert "good" in Reader((good / "report.html").read_text()).inside["h1"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert (
        values(page, "src") == ["good/thumbnail.jpg"]
        and "<strong>bad</strong>" in page
        and "bad.failed/log.txt" in page
    )
    # A run that makes no page keeps the index true all the same.
    assert texture_command.main([scenes[0], *quick, "--texture-size", "128"]) == 0
    assert not (good / "report.html").exists() and "index.html" not in capsys.readouterr().out
    page = (tmp_path / "out" / "index.html").read_text()
    assert "good/report.html" not in page and "made without --report" in page
    assert texture_command.main([scenes[0], *quick, "--report"]) == 0
    # A page that is gone is made again, though all else is there.
    (good / "report.html").unlink()
    assert texture_command.main([scenes[0], *quick, "--report"]) == 0
    assert (good / "report.html").is_file()


def test_somebody_elses_index_stays_and_is_said_before_the_work(scan, tmp_path, capsys):
    index = tmp_path / "out" / "index.html"
    index.parent.mkdir()
    index.write_text("<title>My thesis</title>")
    assert texture_command.main([str(scan), "--output", str(tmp_path / "out"), "--report"]) == 2
    assert "out/index.html: is not of this version's making" in capsys.readouterr().err
    assert not has_overview(tmp_path / "out")
    with pytest.raises(InputError, match="move it away"):
        write_overview(tmp_path / "out")
    assert index.read_text() == "<title>My thesis</title>" and [p.name for p in index.parent.iterdir()] == [
        "index.html"
    ]


def test_times_of_this_run_and_of_all_are_told_apart(tmp_path):
    add(tmp_path, "a", {"seconds": {"total": 43.5, "total_with_reused": 1157.0}})
    add(tmp_path, "b", {"seconds": {"total": 3.0, "total_with_reused": 3.0}})
    page = overview_page(tmp_path)
    assert "1,157.0 s · 43.5 s of it in the last run" in page and page.count("in the last run") == 1
    assert values(page, "data-seconds") == ["1157.000", "3.000"] and "580.0 <small>s" in page
