"""What stage 3 needs before and beside the engine."""
