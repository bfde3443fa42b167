"""Tables of facts that are installed with bley, and that core parses once: DNS lists, public suffixes."""
