"""Networks from crops to poses. Imports render, evaluate, export, networks, files and common."""
