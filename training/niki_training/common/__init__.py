"""Command lines with verbs, and types of their arguments. Imports no other room."""
