"""Frames of videos, cameras, addresses, images and bags. May import messages, files and scene."""
