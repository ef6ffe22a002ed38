"""The version, for those inside the package too."""

__version__ = "0.1.0"
