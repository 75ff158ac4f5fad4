"""The parts of `scripts.fuzz`: what is mutated, how, and how one mutant is run."""
