"""Model folders, their graphs, and the models that ship. May import common and files."""
