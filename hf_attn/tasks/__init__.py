"""What a model is trained for: what goes in, what comes out, and the one way from raw input to answer."""
