"""bley, an intelligent greylisting daemon for Postfix and Exim."""

__version__ = "3.0.0rc1"

__all__ = ["__version__"]
