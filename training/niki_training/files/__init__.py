"""Readers of files that run none of their code, and checks of outputs. Imports no other room."""
