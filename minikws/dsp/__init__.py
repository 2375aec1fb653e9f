"""Signal processing: pure functions on arrays, from samples to filterbank energies."""
