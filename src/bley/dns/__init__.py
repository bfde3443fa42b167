"""DNS queries: cached by c-ares, uncached by dnspython, to the servers of the settings or of resolv.conf."""
