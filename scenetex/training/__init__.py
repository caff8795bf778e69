"""Training: data, the two stages of each module, and the loop they share."""
