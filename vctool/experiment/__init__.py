"""What one recipe means: its roles and directions, where its files lie, what is done."""
