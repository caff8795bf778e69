"""Furnishing: what stands in each kind of room, and how it is grouped."""

from dataclasses import dataclass, field

import numpy as np

from . import ornaments, seating, storage, tables
from .grouping import Furnisher
from .layout import Layout
from .patches import pose
from .piece import Decor, Piece
from .plan import Plan


@dataclass
class Furnishing:
    """Furniture of a room.

    Attributes:
        pieces: in the room's frame.
        images: size in metres of every slot that a picture or rug fills.
        obstacles: footprints (4, 2) on the floor.
    """

    pieces: list[Piece] = field(default_factory=list)
    images: dict[str, tuple[float, float]] = field(default_factory=dict)
    obstacles: list[np.ndarray] = field(default_factory=list)


def furnish(rng: np.random.Generator, plan: Plan, kind: str, decor: Decor, lamp: float) -> Furnishing:
    """Furnishes a room of `kind`; `lamp` is the lamps' power, 0 for off."""
    layout = Layout(plan, rng)
    images: dict[str, tuple[float, float]] = {}
    room = Furnisher(rng, decor, layout, images, lamp)
    _RECIPES[kind](room)
    room.curtains()
    room.pictures(int(rng.integers(1, 4)))
    return Furnishing([p for p, _ in layout.placed], images, layout.obstacles())


def _living_room(r: Furnisher) -> None:
    rng = r.rng
    seat = None
    for seats in (3, 2, 2):
        piece = seating.sofa(rng, r.decor, seats)
        seat = r.layout.against_wall(piece, gap=0.05)
        if seat is not None:
            break
    if seat is not None:
        depth = piece.size[1]
        table = tables.coffee_table(rng, r.decor)
        ahead = -(depth / 2 + 0.38 + table.size[1] / 2)
        if r.maybe(0.8):
            r.rug(seat @ pose(0, ahead + 0.1, 0), rng.uniform(1.9, 2.5), rng.uniform(1.3, 1.7))
        r.layout.stand(table, seat @ pose(0, ahead, 0))
        _armchair(r, seat, ahead)
        wall, _ = r.layout.wall_of(seat)
        across = _facing(r.layout.plan, wall)
        if r.maybe(0.75):
            bench = storage.cabinet(rng, r.decor, "TV bench", rng.uniform(1.2, 1.8), 0.4, rng.uniform(0.4, 0.52))
            set_ = ornaments.screen(rng, rng.uniform(0.9, 1.2))
            bench = bench.with_on_top(set_.moved(pose(0, 0.04, bench.size[2])))
            r.layout.against_wall(bench, wall=across)
        side = tables.side_table(rng, r.decor, r.lamp)
        r.layout.stand(side, seat @ pose(piece.size[0] / 2 + side.size[0] / 2 + 0.06, 0.1, 0))
    r.against_wall(storage.bookshelf)
    if r.maybe(0.6):
        r.against_wall(storage.bookshelf if r.maybe(0.5) else storage.sideboard)
    if r.maybe(0.7):
        r.layout.against_wall(ornaments.floor_lamp(rng, r.decor, 1.1 * r.lamp), off=0.06)
    r.plants(int(rng.integers(1, 3)))
    r.ceiling_lamp(*r.spots()[0], 0.0 if r.maybe(0.5) else 0.5)
    if r.maybe(0.3):
        _free_spot(r, seating.pouf(rng, r.decor))


def _armchair(r: Furnisher, seat: np.ndarray, ahead: float) -> None:
    """An armchair at the coffee table's end, turned to it."""
    chair = seating.sofa(r.rng, r.decor, 1)
    side = 1 if r.maybe(0.5) else -1
    for s in (side, -side):
        turn = -s * (np.pi / 2 - r.rng.uniform(-0.1, 0.5))
        if r.layout.stand(chair, seat @ pose(s * 1.35, ahead - 0.1, 0, turn), 0.02):
            return


def _facing(plan: Plan, wall: int) -> int:
    """The wall that faces `wall`, the longest if there are two."""
    normal = plan.frames[wall][:2, 1]
    opposite = [i for i, f in enumerate(plan.frames) if f[:2, 1] @ normal < -0.9]
    return max(opposite, key=lambda i: plan.lengths[i])


def _free_spot(r: Furnisher, piece: Piece) -> None:
    """Anywhere on the free floor."""
    xs, ys = np.array(r.layout.plan.corners).T
    for _ in range(20):
        at = pose(r.rng.uniform(xs.min(), xs.max()), r.rng.uniform(ys.min(), ys.max()), 0, r.rng.uniform(0, 6.28))
        if r.layout.stand(piece, at, 0.35):
            return


def _bedroom(r: Furnisher) -> None:
    rng = r.rng
    for double in (r.maybe(0.75), False):
        piece = seating.bed(rng, r.decor, double)
        bed = r.layout.against_wall(piece, gap=0.05, tries=40)
        if bed is not None:
            break
    if bed is not None:
        for side in (-1, 1):
            night = storage.cabinet(rng, r.decor, "bedside table", 0.42, 0.38, rng.uniform(0.45, 0.55))
            if r.maybe(0.75):
                night = night.with_on_top(
                    ornaments.table_lamp(rng, r.decor, 0.8 * r.lamp).moved(pose(0, 0.04, night.size[2]))
                )
            x = side * (piece.size[0] / 2 + 0.06 + night.size[0] / 2)
            r.layout.stand(night, bed @ pose(x, piece.size[1] / 2 - night.size[1] / 2, 0), 0.01)
        if r.maybe(0.7):
            r.rug(bed @ pose(0, -piece.size[1] / 2 + 0.1, 0), rng.uniform(1.9, 2.4), rng.uniform(1.2, 1.6))
    r.against_wall(storage.cabinet, "wardrobe", rng.uniform(1.0, 1.7), 0.58, rng.uniform(1.9, 2.2))
    r.against_wall(storage.dresser)
    if r.maybe(0.5):
        r.layout.against_wall(seating.sofa(rng, r.decor, 1), off=0.12)
    if r.maybe(0.4):
        r.against_wall(storage.bookshelf)
    r.plants(int(rng.integers(0, 3)))
    r.ceiling_lamp(*r.spots()[0], 0.0 if r.maybe(0.7) else 0.45)
    if r.maybe(0.4):
        _free_spot(r, seating.pouf(rng, r.decor))


def _study(r: Furnisher) -> None:
    rng = r.rng
    desk = tables.desk(rng, r.decor, 0.9 * r.lamp)
    place = r.layout.against_wall(desk, gap=0.03, tries=40)
    if place is not None:
        chair = seating.office_chair(rng, r.decor)
        r.layout.stand(
            chair, place @ pose(rng.uniform(-0.15, 0.15), -desk.size[1] / 2 - 0.46, 0, np.pi + rng.uniform(-0.5, 0.5))
        )
    for _ in range(int(rng.integers(1, 4))):
        r.against_wall(storage.bookshelf)
    if r.maybe(0.6):
        r.layout.against_wall(seating.sofa(rng, r.decor, 1), off=0.15)
    if r.maybe(0.5):
        r.against_wall(storage.sideboard if r.maybe(0.5) else storage.dresser)
    if r.maybe(0.6):
        x, y = r.spots()[0]
        r.rug(pose(x, y, 0), rng.uniform(1.6, 2.2), rng.uniform(1.1, 1.5))
    if r.maybe(0.5):
        r.layout.against_wall(ornaments.floor_lamp(rng, r.decor, r.lamp), off=0.06)
    r.plants(int(rng.integers(1, 3)))
    r.ceiling_lamp(*r.spots()[0], 0.0)


def _table_group(r: Furnisher, choices: tuple[int, ...]) -> None:
    """A dining table with chairs and a lamp above, as large and as near to the middle as it fits."""
    turn = np.pi / 2 * r.rng.integers(2)
    for seats in choices:
        table = tables.dining_table(r.rng, r.decor, seats)
        for x, y in r.spots()[:25]:
            for yaw in (turn, turn + np.pi / 2):
                at = pose(x, y, 0, yaw)
                if r.layout.stand(table, at, 0.45):
                    if r.maybe(0.45):
                        r.rug(at, table.size[0] + 1.2, table.size[1] + 1.3)
                    r.chairs_around(at, table.size, seats)
                    r.ceiling_lamp(x, y, r.rng.uniform(0.7, 0.95))
                    return
    r.ceiling_lamp(*r.spots()[0], 0.0)


def _dining_room(r: Furnisher) -> None:
    rng = r.rng
    _table_group(r, (6, 4, 2))
    r.against_wall(storage.sideboard)
    for maker in (storage.bookshelf, storage.dresser):
        if r.maybe(0.6):
            r.against_wall(maker)
    if r.maybe(0.5):
        r.layout.against_wall(ornaments.floor_lamp(rng, r.decor, r.lamp), off=0.06)
    r.plants(int(rng.integers(1, 4)))


def _kitchen(r: Furnisher) -> None:
    rng = r.rng
    for width, wall_units in (
        (3.0, True),
        (2.4, True),
        (3.0, False),
        (2.4, False),
        (1.8, True),
        (1.8, False),
        (1.2, False),
    ):
        counter = storage.kitchen_counter(rng, r.decor, width, wall_units)
        if r.layout.against_wall(counter, gap=0.0, off=0.014) is not None:
            break
    r.against_wall(storage.fridge)
    _table_group(r, (4, 2))
    if r.maybe(0.5):
        r.against_wall(storage.sideboard)
    if r.maybe(0.4):
        r.against_wall(storage.bookshelf)
    r.plants(int(rng.integers(0, 3)))


_RECIPES = {
    "living room": _living_room,
    "bedroom": _bedroom,
    "study": _study,
    "dining room": _dining_room,
    "kitchen": _kitchen,
}
KINDS = tuple(_RECIPES)
