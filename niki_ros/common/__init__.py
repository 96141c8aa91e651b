"""Errors, settings and checks of arrays that all rooms use. Imports no other room."""
