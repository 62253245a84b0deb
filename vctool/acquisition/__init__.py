"""How corpora come here: fetched, unpacked, surveyed, split, and made into data dirs."""
