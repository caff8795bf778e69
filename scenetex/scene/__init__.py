"""Read a scene: its mesh, cameras and frames, from the layouts people have on disk."""
