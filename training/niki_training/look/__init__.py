"""
A network of the project's own on crops of people: trunk, heads, training, evaluation, export.

Imports evaluate, render, front_end, export, networks, files and common.
"""
