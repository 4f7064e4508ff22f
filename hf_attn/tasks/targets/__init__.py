"""What comes out of a model."""
