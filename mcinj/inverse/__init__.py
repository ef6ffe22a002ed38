"""Questions beyond injective or not: x back from f(x), and how often and how far a network confuses its inputs."""
