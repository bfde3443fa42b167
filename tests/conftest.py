"""How all tests run."""

import os

from hypothesis import settings

# A busy machine is no fault of the code; and CI must find tomorrow what it finds today, a developer new things.
settings.register_profile("developer", deadline=None)
settings.register_profile("ci", settings.get_profile("developer"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "developer")
