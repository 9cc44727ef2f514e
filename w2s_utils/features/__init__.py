"""Features of frozen models and of counts, and the packages that weights and data come in."""
