"""One texturing job: its options, its stages, what they keep, and the folder of its result."""
