"""Files of others opened with care; files of ours written whole or not at all."""
