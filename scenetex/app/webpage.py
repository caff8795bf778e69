"""The page itself, in gradio: fields on the left, the model and what else came out on the right."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from ..errors import InputError
from .offered import Offered
from .runner import Runner, Stopped
from .visit import Visit
from .wish import PHOTOS, SENTENCE, Setup, Wish

T = TypeVar("T")
_TITLE = "scenetex"
_SIZES = [512, 1024, 2048, 4096, "auto"]  # texels
_MOST_WAITING = 20  # runs
_LOOK, _OLD = 3600, 86400  # seconds between looks for copies that were handed out, and that these are kept
_TALL = "height: 640px; width: 100%; border: 1px solid var(--border-color-primary); border-radius: 4px"
_EMPTY = f'<div style="{_TALL}; display: grid; place-items: center; opacity: 0.6">The model comes here.</div>'
# Nothing of this is for programs: those have Python and the command line.
_QUIET: dict[str, Any] = {"api_visibility": "private"}


class Desk:
    """Who visits, and the process that works for them.

    Args:
        homes: folder that each visitor gets one of their own in.
        offered: scans of this machine.
        setup: what the page was started with.
    """

    def __init__(self, homes: Path, offered: Offered, setup: Setup):
        self.offered, self.setup = offered, setup
        self._homes, self._runner = homes, Runner()
        self._visits: dict[str, Visit] = {}

    def visit(self, request: gr.Request) -> Visit:
        """The visitor that a request is from."""
        session = str(request.session_hash)
        return self._visits.setdefault(session, Visit.of(self._homes, session, self.offered))

    def drop(self, archive: str | None, request: gr.Request) -> tuple[Any, None]:
        """Takes in a scan and selects it; makes room for another one."""
        visit = self.visit(request)
        if archive is None:
            return gr.skip(), None
        try:
            name = _in_a_line(visit, lambda: visit.drop(Path(archive)))
        finally:
            Path(archive).unlink(missing_ok=True)
        return gr.update(choices=[*self.offered.names(), *visit.dropped], value=name), None

    def look(self, name: str | None, request: gr.Request) -> tuple[Any, Any, Any]:
        """What is said of the scan that is chosen, and its regions to choose from."""
        visit = self.visit(request)
        if not name:
            return "", gr.update(choices=[], value=[]), gr.update(choices=[], value=None)
        try:
            said, found = visit.look(name)
        except InputError as error:
            said, found = visit.plain(error), []
        return said, gr.update(choices=found, value=[]), gr.update(choices=found, value=None)

    def run(
        self,
        name: str | None,
        source: str,
        prompt: str,
        only: list[str],
        paint: str,
        complete: bool,
        views: int,
        steps: int,
        seed: float | None,
        texture_size: int | str | None,
        image_size: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  (so gradio finds it)
    ) -> tuple[Any, ...]:
        """Textures the scan; model, images, files, notes."""
        visit = self.visit(request)

        def tell(stage: str, done: int, steps: int | None) -> None:
            progress((done, steps) if steps else 0, desc=stage)

        def work() -> tuple[Any, ...]:
            if not name:
                raise InputError("no scan: choose one, or drop one")
            given = (complete, int(views or 0), int(steps or 0), int(seed or 0), texture_size or "", image_size or "")
            wish = Wish(source, prompt or "", tuple(only or ()), paint or "", *given)
            regions = visit.look(name)[1] if wish.only or wish.paint.strip() else []
            options = wish.options(visit.output(name), self.setup, regions)
            outcome = self._runner.run(visit.path(name), options, tell, str(request.session_hash))
            shown = visit.show(name, outcome)
            files = (gr.update(value=str(file), interactive=True) for file in (shown.glb, shown.obj))
            return _frame(shown.page), shown.images, *files, shown.said

        return _in_a_line(visit, work)

    def stop(self, request: gr.Request) -> None:
        """Stops the visitor's run."""
        self._runner.stop(str(request.session_hash))

    def leave(self, request: gr.Request) -> None:
        """The visitor has closed the page: nothing of theirs is kept."""
        self.stop(request)
        visit = self._visits.pop(str(request.session_hash), None)
        if visit is not None:
            visit.end()

    def close(self) -> None:
        """Ends the process that works."""
        self._runner.close()


def build(desk: Desk) -> gr.Blocks:
    """The page."""
    names = desk.offered.names()
    with gr.Blocks(title=_TITLE, analytics_enabled=False, fill_width=True, delete_cache=(_LOOK, _OLD)) as page:
        gr.Markdown(f"# {_TITLE}\nA scanned room goes in, a textured model comes out.")
        with gr.Row():
            with gr.Column(scale=2, min_width=340):
                custom = desk.offered.root is not None
                scan = gr.Dropdown(names, value=names[0] if names else None, label="Scan", allow_custom_value=custom)
                archive = gr.File(
                    label="or drop one: a .zip of its folder", file_types=[".zip"], height=110, elem_id="archive"
                )
                about = gr.Textbox(label="It has", interactive=False, max_lines=4, elem_id="about")
                source = gr.Radio([SENTENCE, PHOTOS], value=SENTENCE, label="Paint with", elem_id="source")
                prompt = gr.Textbox(
                    label="The sentence",
                    placeholder="a bedroom with sage green walls and a red carpet",
                    lines=2,
                    elem_id="prompt",
                )
                with gr.Accordion("Parts of the room", open=False, elem_id="parts"):
                    only = gr.Dropdown(
                        [],
                        multiselect=True,
                        allow_custom_value=True,
                        label="Only these, and leave all else as it is",
                        elem_id="only",
                    )
                    region = gr.Dropdown([], label="A region in words of its own", elem_id="region")
                    paint = gr.Textbox(
                        label="Its words, a line for each region",
                        placeholder="floor: dark walnut planks",
                        lines=2,
                        elem_id="paint",
                    )
                with gr.Accordion("More", open=False, elem_id="more"):
                    complete = gr.Checkbox(label="Paint what no image saw, too")
                    with gr.Row():
                        views = gr.Slider(
                            0, 120, value=0, step=1, label="Views (0: as many as it takes)", elem_id="views"
                        )
                        steps = gr.Slider(0, 100, value=0, step=1, label="Steps (0: the model's own)", elem_id="steps")
                    with gr.Row():
                        seed = gr.Number(value=0, precision=0, minimum=0, label="Seed", elem_id="seed")
                        size = gr.Dropdown(
                            _SIZES, value=2048, allow_custom_value=True, label="Texture size, texels", elem_id="size"
                        )
                        image_size = gr.Textbox(
                            "256x192", label="Image size, pixels", max_lines=1, elem_id="image-size"
                        )
                    gr.Markdown(f"Model: `{escape(desk.setup.model).replace('`', '')}`")
                with gr.Row():
                    go = gr.Button("Texture", variant="primary", elem_id="go")
                    stop = gr.Button("Stop", elem_id="stop")
            with gr.Column(scale=3, min_width=480):
                model = gr.HTML(_EMPTY, elem_id="model", padding=False, container=False)
                with gr.Row():
                    glb = gr.DownloadButton("GLB", interactive=False, elem_id="glb")
                    obj = gr.DownloadButton("OBJ, as .zip", interactive=False, elem_id="obj")
                said = gr.Textbox(label="What the run says", interactive=False, lines=2, max_lines=8, elem_id="said")
                images = gr.Gallery(
                    label="Images that were baked", columns=4, height=320, object_fit="contain", elem_id="images"
                )

        looking = {"outputs": [about, only, region], "concurrency_id": "look", **_QUIET}
        page.load(desk.look, scan, show_progress="minimal", **looking)
        scan.change(desk.look, scan, show_progress="minimal", **looking)
        archive.upload(desk.drop, archive, [scan, archive], concurrency_id="look", **_QUIET)
        region.input(_with_region, [paint, region], [paint, region], show_progress="hidden", queue=False, **_QUIET)
        fields = [scan, source, prompt, only, paint, complete, views, steps, seed, size, image_size]
        go.click(
            desk.run, fields, [model, images, glb, obj, said], concurrency_limit=1, show_progress_on=said, **_QUIET
        )
        stop.click(desk.stop, queue=False, show_progress="hidden", **_QUIET)
        page.unload(desk.leave)
    return page.queue(max_size=_MOST_WAITING, default_concurrency_limit=1, api_open=False)


def _frame(page: str) -> str:
    """A result's report within the page, where it can do no more than run its own scripts."""
    about = 'title="The result" sandbox="allow-scripts" allow="fullscreen"'
    return f'<iframe {about} style="{_TALL}" srcdoc="{escape(page)}"></iframe>'


def theme() -> gr.themes.Base:
    """How it looks, in fonts that are there."""
    return gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])


def _with_region(paint: str, region: str | None) -> tuple[Any, None]:
    """The words with a line more for the region that was chosen."""
    if not region:
        return gr.skip(), None
    lines = [line for line in (paint or "").splitlines() if line.strip()]
    return "\n".join([*lines, f"{region}: "]), None


def _in_a_line(visit: Visit, work: Callable[[], T]) -> T:
    """Bad input becomes a line on the page, which takes it for HTML."""
    try:
        return work()
    except Stopped as stopped:
        raise gr.Error(escape(visit.plain(stopped)), title="Stopped", print_exception=False) from None
    except InputError as error:
        raise gr.Error(escape(visit.plain(error)), duration=None, print_exception=False) from None
