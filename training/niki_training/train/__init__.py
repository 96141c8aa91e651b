"""
Training of the solver networks: settings, losses, checkpoints and the loop of steps.

Imports the rooms data, corrupt, networks, files and common.
"""
