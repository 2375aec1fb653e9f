"""The int8 operators as rows of numbers, and one compiled loop that runs them."""
