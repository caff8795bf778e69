"""Tasks of `blender_session` about the user interface, which Blender as a module has not: events and panels by hand."""

import time
from importlib import import_module
from types import SimpleNamespace

import bpy
from blender_scene import ADDON, TINY, box_room, program, setting


class Beside:
    """A context with a window, which Blender as a module has not: it holds timers that somebody else makes fire."""

    def __init__(self):
        self.window, self.timers = None, []
        about = {"event_timer_add": self.add, "event_timer_remove": self.timers.remove, "windows": []}
        self.window_manager = SimpleNamespace(**about, modal_handler_add=lambda operator: None)

    def __getattr__(self, name: str):
        return getattr(bpy.context, name)

    def add(self, seconds: float, window) -> str:
        self.timers.append("timer")
        return "timer"


def modal(options: dict) -> dict:
    """The operator as the user interface runs it: by events."""
    box_room()
    program(options["program"])
    setting(cameras="PATH", prompt="a room", output=options["output"], **TINY)
    operators = import_module(f"{ADDON}.operators")
    reports, came, context = [], {"stages": []}, Beside()
    kind = vars(operators.SCENETEX_OT_texture)
    methods = {name: kind[name] for name in ("invoke", "modal", "_finish", "_fail")}
    plain = type("Plain", (), methods | {"report": lambda self, kind, line: reports.append([*kind, line])})
    timer, escape = SimpleNamespace(type="TIMER", value="NOTHING"), SimpleNamespace(type="ESC", value="PRESS")
    other = SimpleNamespace(type="MOUSEMOVE", value="NOTHING")
    operator = plain()
    came["began"] = [*operator.invoke(context, other)]
    came["passed"] = [*operator.modal(context, other)]
    while (now := operator.modal(context, timer)) == {"PASS_THROUGH"}:
        came["stages"].append(operators.current_job().run.stage)
        time.sleep(0.1)
    came["ended"], came["timers"], came["reports"] = [*now], len(context.timers), list(reports)
    came["loaded"] = bpy.data.objects["Table"].hide_get()
    setting(steps=1000)
    bpy.data.objects["Table"].hide_set(False)
    operator.invoke(context, other)
    operator.modal(context, escape)
    while (now := operator.modal(context, timer)) == {"PASS_THROUGH"}:
        time.sleep(0.1)
    return came | {"escaped": [*now], "last": reports[-1]}


class Layout:
    """What a panel puts into the sidebar."""

    def __init__(self, shown: dict):
        self.shown = shown

    def column(self) -> "Layout":
        return self

    row = column

    def prop(self, owner, name: str, **look) -> None:
        assert name in owner.bl_rna.properties
        self.shown[name] = 0

    def operator(self, name: str, **look) -> None:
        assert name in ("scenetex.texture", "scenetex.cancel")


def panel(options: dict) -> dict:
    """The options that the panel shows, by what is painted; and all that there are."""
    settings, shown = bpy.context.scene.scenetex, {"SCENE": {}, "SCAN": {}}
    settings.cameras = "PATH"
    kind = import_module(f"{ADDON}.panel").SCENETEX_PT_texture
    for source, found in shown.items():
        settings.source = source
        kind.draw(SimpleNamespace(layout=Layout(found)), bpy.context)
    own = [name for name in settings.bl_rna.properties.keys() if name not in ("rna_type", "name")]
    return shown | {"options": own}
