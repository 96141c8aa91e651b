"""
Networks from a crop of an image to the pose of a person: crops, training, scores and export.

Imports the rooms render, evaluate, export, networks, files and common.
"""
