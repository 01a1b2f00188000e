"""The ground floor: errors, results, files, arrays, slots, sweeps; no model and no torch."""
