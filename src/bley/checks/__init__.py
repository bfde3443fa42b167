"""The checks: each returns a finding about a request. A finding is unknown if the DNS fails."""
