"""What all tests share."""

from hypothesis import settings

# a busy machine is not a wrong answer
settings.register_profile("octavo", deadline=None)
settings.load_profile("octavo")
