"""The commands niki-data, niki-train, niki-evaluate and niki-export: arguments and a call."""
