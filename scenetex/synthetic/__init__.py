"""Procedural rooms with exact depth, colour and poses: the sample scene, test truth and training data."""

from .describe import Facts, describe
from .phone import Phone, phone_photos
from .room import Room, RoomSettings, make_room
from .room_images import render_room
from .scan_noise import ScanNoise, scan_mesh
from .scan_writer import ScanSettings, read_room, write_scan
from .walk import walk

__all__ = [
    "Facts",
    "Phone",
    "Room",
    "RoomSettings",
    "ScanNoise",
    "ScanSettings",
    "describe",
    "make_room",
    "phone_photos",
    "read_room",
    "render_room",
    "scan_mesh",
    "walk",
    "write_scan",
]
