"""Training, evaluation and export of NIKI's networks. Needs torch; a robot does not need this."""
