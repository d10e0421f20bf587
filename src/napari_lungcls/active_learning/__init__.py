"""Which places are worth a label next: those that would teach a model most."""
