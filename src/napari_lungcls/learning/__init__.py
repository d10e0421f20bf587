"""Learning: settings, splits, augmentation, training, metrics."""
