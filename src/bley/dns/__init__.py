"""DNS look-ups: cached by c-ares, uncached by dnspython, and the servers that resolv.conf names."""
