"""The run folder: what a recipe leaves behind, and what is put on the Hub."""
