"""Parts of `scripts.fuzz`: the corpus, the mutations, and the run of one mutant."""
