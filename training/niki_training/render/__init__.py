"""Rendered people with exact joints, visibility and shape. May import data and files."""
