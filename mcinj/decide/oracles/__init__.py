"""Slow ways to the same answers: linear and mixed-integer programs, enumeration, cells of low count."""
