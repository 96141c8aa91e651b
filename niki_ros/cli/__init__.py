"""The command niki: one verb a file, arguments and a call."""
