"""A model with everything that a board's firmware needs around it."""
