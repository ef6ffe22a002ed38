"""Collisions between closed cells of full patterns, for any weights."""
