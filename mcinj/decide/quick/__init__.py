"""What is tried before any search of a large network."""
