"""Pages to look at: one per textured scene with the model in a viewer, and one over all scenes of a folder."""
