"""What goes into a model."""
