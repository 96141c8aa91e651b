"""Files of arrays and weights of others, opened without running what is in them; outputs."""
