"""What other greylisters knew, read for bley: postgrey, sqlgrey, and bley 2."""
