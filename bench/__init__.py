"""Measurements of bley."""
