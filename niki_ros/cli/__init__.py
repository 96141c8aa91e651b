"""The command niki: one verb per file, arguments and a call. May import viewers and benchmarks."""
