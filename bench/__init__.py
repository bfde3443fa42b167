"""What measures bley."""
