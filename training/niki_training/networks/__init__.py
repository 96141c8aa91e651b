"""The networks of NIKI and the kinematic layer (torch)."""
