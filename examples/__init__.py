"""Examples: each file is a whole program, meant to be read."""
