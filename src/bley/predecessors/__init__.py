"""Readers of the records of other greylisters: postgrey, sqlgrey and bley 2."""
