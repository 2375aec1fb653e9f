"""Words from a stream of scores."""
