"""Search for good settings: the space, the shared study, its trials. Optuna is an extra."""
