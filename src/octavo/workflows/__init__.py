"""The verbs, one per file: what the command line calls, and anyone may call from Python."""
