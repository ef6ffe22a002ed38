"""Boxes and balls of inputs."""
