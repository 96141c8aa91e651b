"""Importers: weights that a user has downloaded, mapped onto our own networks."""
