"""Models from and to others: the Hugging Face hub, and addresses of the web."""
