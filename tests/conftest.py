"""What holds for all tests."""

from hypothesis import settings

# A busy machine is not a failure: no test asserts a time, and neither do the examples of a property.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
