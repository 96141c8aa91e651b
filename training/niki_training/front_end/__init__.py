"""Recordings of a front end on rendered people, training on its errors. May import render."""
