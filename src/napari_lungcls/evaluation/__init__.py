"""What a model predicts at labelled points, and how well it and observers agree."""
