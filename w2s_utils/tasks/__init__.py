"""Real tasks: data, labels and pretrained features."""
