from hypothesis import settings

# Examples are bounded by their number; a deadline in milliseconds fails on busy machines.
settings.register_profile("skdrfm", deadline=None, print_blob=True)
settings.load_profile("skdrfm")
