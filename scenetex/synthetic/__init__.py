"""Procedural rooms with exact depth, colour and poses: the sample scene, test truth and training data."""
