"""Unwrap, back-project, level, fill, pad and export: images and views in, a textured mesh out. No diffusion here."""
