"""The process itself: signals, streams, threads, memory, the console."""
