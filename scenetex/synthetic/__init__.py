"""Procedural rooms with exact depth, colour and poses: the sample scene, test truth and training data."""

from .describe import Facts, describe
from .room import Room, RoomSettings, make_room
from .room_images import render_room
from .scan import ScanNoise, scan_mesh
from .walk import walk
from .write import ScanSettings, read_room, write_scan

__all__ = [
    "Facts",
    "Room",
    "RoomSettings",
    "ScanNoise",
    "ScanSettings",
    "describe",
    "make_room",
    "read_room",
    "render_room",
    "scan_mesh",
    "walk",
    "write_scan",
]
