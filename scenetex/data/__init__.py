"""Samples to learn from and to measure on: rooms, rings, scans."""
