"""
The commands niki-data, niki-train, niki-evaluate and niki-export.

Each command is a table of verbs. Verbs that join several rooms are modules here; the others belong
to the room of their subject. May import look and evaluate.
"""
