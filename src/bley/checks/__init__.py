"""The checks: each turns a request into a finding. Those that ask the DNS may also not know."""
