"""How loud every band is when an instrument plays given notes, as a distribution."""
