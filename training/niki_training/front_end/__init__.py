"""Recordings of a front end on rendered people, and training on its errors."""
