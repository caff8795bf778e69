"""Commands: they parse options, call what does the work, and print."""
