"""Rendered people with exact truth: what a front end really gets wrong, measured."""
