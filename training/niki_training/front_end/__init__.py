"""What the front end gets wrong, measured on rendered people and on photographs."""
