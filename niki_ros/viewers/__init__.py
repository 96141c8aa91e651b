"""Viewers of bodies: Rerun and a web page. May import loading and sources."""
