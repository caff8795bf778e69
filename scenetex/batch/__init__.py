"""Many scenes: kept stages, locks, workers, and what happens when something goes wrong."""
