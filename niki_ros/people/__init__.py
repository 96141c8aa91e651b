"""The algorithm: who is who, and the stages that each person passes. No file, no graph."""
